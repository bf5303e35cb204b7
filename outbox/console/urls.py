"""Where the operator's pages of the outbox are."""

from django.urls import path

from outbox.console import messages, routes

urlpatterns = [
    path("outbox/", routes.outbox_page, name="outbox"),
    path("outbox/deliveries/", messages.delivery_list, name="delivery_list"),
    path("outbox/messages/", messages.message_list, name="message_list"),
    path("outbox/messages/<uuid:message_id>/", messages.message_page, name="message"),
    path("outbox/routes/<slug:name>/", routes.route_page, name="route"),
    path("outbox/routes/<slug:name>/pause/", routes.route_pause, name="route_pause"),
    path("outbox/routes/<slug:name>/resume/", routes.route_resume, name="route_resume"),
]
