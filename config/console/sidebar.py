"""The sidebar: the places that the reader may visit, and what waits for a person there."""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from dlq.models import DeadLetter
from outbox.paging import CappedCount, count_up_to
from sagas.models import Saga

THEMES = ("auto", "light", "dark")
BADGE_CAP = 999


class Place(NamedTuple):
    title: str | Promise
    icon: str
    url: str
    is_current: bool
    badge: CappedCount | None = None


def theme_of(request: HttpRequest) -> str:
    """Return the theme that the reader chose; "auto" follows the system."""
    chosen = request.COOKIES.get("theme", "auto")
    return chosen if chosen in THEMES else "auto"


def places(request: HttpRequest) -> list[Place]:
    """Return the operator's places, with how many things wait for a person."""
    offered = [
        ("sagas.view_saga", _("Overview"), "overview", "index"),
        ("sagas.view_saga", _("Sagas"), "sagas", "saga_list"),
        ("sagas.view_saga", _("Schedules"), "schedule", "schedule_list"),
        ("dlq.view_deadletter", _("Dead letters"), "letters", "letter_groups"),
        ("outbox.view_message", _("Outbox"), "outbox", "outbox"),
        ("sagas.view_participant", _("Participants"), "participants", "participant_list"),
        ("sagas.view_definition", _("Definitions"), "definitions", "definition_list"),
        ("sagas.view_sagalock", _("Locks"), "lock", "lock_list"),
        ("sagas.view_retentionrule", _("Retention"), "archive", "retention"),
        ("admin.view_logentry", _("Audit"), "audit", "audit"),
    ]
    badges = _badges(request)
    return [
        _place(request, title, icon, f"admin:{name}", badges.get(name))
        for permission, title, icon, name in offered
        if name == "index" or request.user.has_perm(permission)
    ]


def administration(request: HttpRequest) -> list[Place]:
    """Return the pages of Django itself that the reader may use."""
    offered = [
        (
            "django_celery_beat.view_periodictask",
            _("Periodic tasks"),
            "schedule",
            "admin:django_celery_beat_periodictask_changelist",
        ),
        ("auth.view_user", _("Users"), "users", "admin:auth_user_changelist"),
        ("auth.view_group", _("Roles"), "groups", "admin:auth_group_changelist"),
        (
            "authtoken.view_tokenproxy",
            _("API tokens"),
            "tokens",
            "admin:authtoken_tokenproxy_changelist",
        ),
        ("", _("API"), "api", "api-docs"),
    ]
    return [
        _place(request, title, icon, name, None)
        for permission, title, icon, name in offered
        if not permission or request.user.has_perm(permission)
    ]


def _place(
    request: HttpRequest, title: str | Promise, icon: str, name: str, badge: CappedCount | None
) -> Place:
    url = reverse(name)
    home = reverse("admin:index")
    is_current = request.path == url if url == home else request.path.startswith(url)
    return Place(title, icon, url, is_current, badge)


def _badges(request: HttpRequest) -> dict[str, CappedCount]:
    badges = {}
    if request.user.has_perm("sagas.view_saga"):
        badges["saga_list"] = count_up_to(Saga.objects.failed(), BADGE_CAP)
    if request.user.has_perm("dlq.view_deadletter"):
        open_letters = DeadLetter.objects.filter(status=DeadLetter.Status.OPEN)
        badges["letter_groups"] = count_up_to(open_letters, BADGE_CAP)
    return badges
