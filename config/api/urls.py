"""The addresses of the API. A slash at their end may be left out, also for POST."""

from __future__ import annotations

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from config.api.errors import no_such_address
from config.api.health import HealthView
from dlq.api import LetterViews
from outbox.api.views import DeliveryViews, MessageViews, RouteViews
from sagas.api.definitions import DefinitionViews
from sagas.api.locks import LockViews
from sagas.api.participants import CallbackView, ParticipantViews, ReplyViews
from sagas.api.retention import ArchiveViews, RetentionViews
from sagas.api.sagas import SagaViews
from sagas.api.schedules import ScheduleViews

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("sagas", SagaViews, "api-saga")
router.register("definitions", DefinitionViews, "api-definition")
router.register("schedules", ScheduleViews, "api-schedule")
router.register("participants", ParticipantViews, "api-participant")
router.register("replies", ReplyViews, "api-reply")
router.register("locks", LockViews, "api-lock")
router.register("retention", RetentionViews, "api-retention")
router.register("archive", ArchiveViews, "api-archive")
router.register("outbox/messages", MessageViews, "api-message")
router.register("outbox/deliveries", DeliveryViews, "api-delivery")
router.register("outbox/routes", RouteViews, "api-route")
router.register("dlq", LetterViews, "api-letter")

urlpatterns = [
    re_path(r"^health/?$", HealthView.as_view(), name="api-health"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    re_path(r"^replies/(?P<token>[\w.:-]+)/?$", CallbackView.as_view(), name="api-callback"),
    path("", include(router.urls)),
    re_path(r"^", no_such_address),
]
