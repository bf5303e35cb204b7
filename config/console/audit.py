"""The audit: who did what, when, why, to what; read from Django's admin log."""

from __future__ import annotations

import json
from typing import NamedTuple

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_celery_beat.models import PeriodicTask

from dlq.models import DeadLetter
from outbox.models import Route
from outbox.pages import page, render_page
from outbox.paging import read_page
from sagas.models import Participant, RetentionRule, Saga

USERS_OFFERED = 200
BUILT_IN = {
    ADDITION: gettext_lazy("added"),
    CHANGE: gettext_lazy("changed"),
    DELETION: gettext_lazy("deleted"),
}
# As the log keeps them.
VERBS = {
    "retry": gettext_lazy("retry"),
    "compensate": gettext_lazy("compensate"),
    "pause": gettext_lazy("pause"),
    "resume": gettext_lazy("resume"),
    "cancel": gettext_lazy("cancel"),
    "mark_done": gettext_lazy("mark as done by hand"),
    "skip": gettext_lazy("skip a step"),
    "rewind": gettext_lazy("rewind"),
    "run_now": gettext_lazy("run now"),
    "move": gettext_lazy("move to another version"),
    "abandon": gettext_lazy("abandon"),
    "approve": gettext_lazy("approve"),
    "reject": gettext_lazy("reject"),
    "reprocess": gettext_lazy("reprocess"),
    "discard": gettext_lazy("discard"),
    "store": gettext_lazy("store"),
    "set": gettext_lazy("set"),
    "remove": gettext_lazy("remove"),
    "enable": gettext_lazy("enable"),
    "disable": gettext_lazy("disable"),
    "limit": gettext_lazy("limit"),
    "close_breaker": gettext_lazy("close the breaker"),
    "release_lock": gettext_lazy("release a lock"),
}
KINDS = {
    "saga": gettext_lazy("saga"),
    "participant": gettext_lazy("participant"),
    "dead letter": gettext_lazy("dead letter"),
    "route": gettext_lazy("route"),
    "definition": gettext_lazy("definition"),
    "retention rule": gettext_lazy("retention rule"),
    "periodic task": gettext_lazy("scheduled task"),
}


class Line(NamedTuple):
    entry: LogEntry
    name: str
    kind: str
    verb: str
    reason: str
    url: str


@page("admin.view_logentry")
def audit_list(request: HttpRequest) -> HttpResponse:
    chosen = {name: _clean(request.GET, name) for name in ("user", "kind", "object", "verb")}
    shown = read_page(_filter(chosen), request.GET)
    context = {
        "title": _("Audit"),
        "page": shown,
        "lines": [_line(entry) for entry in shown.rows],
        "users": get_user_model().objects.order_by("username")[:USERS_OFFERED],
        "kinds": _kinds(),
        "verbs": VERBS.items(),
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
    }
    return render_page(request, "console/audit.html", context)


def _filter(chosen: dict[str, str]) -> QuerySet[LogEntry]:
    entries = LogEntry.objects.select_related("user", "content_type")
    if chosen["user"].isdecimal():
        entries = entries.filter(user_id=int(chosen["user"]))
    if chosen["kind"].isdecimal():
        entries = entries.filter(content_type_id=int(chosen["kind"]))
    if words := chosen["object"]:
        entries = entries.filter(object_id=words) | entries.filter(object_repr__startswith=words)
    if verb := chosen["verb"]:
        entries = entries.filter(change_message__startswith=f'{{"verb": {json.dumps(verb)},')
    return entries


def _kinds() -> list[tuple[int, str]]:
    """Return the kinds of things that verbs are given to."""
    models = (
        Saga,
        Participant,
        RetentionRule,
        DeadLetter,
        Route,
        get_user_model(),
        Group,
        PeriodicTask,
    )
    kinds = ContentType.objects.get_for_models(*models).values()
    return sorted(((kind.pk, _name_of(kind)) for kind in kinds), key=lambda kind: kind[1])


def _name_of(kind: ContentType | None) -> str:
    name = kind.name if kind else ""
    return str(KINDS.get(name, name))


def _line(entry: LogEntry) -> Line:
    """Read what our verbs write as {"verb", "reason"}; Django's own pages write a list."""
    verb, reason = str(BUILT_IN.get(entry.action_flag, "")), ""
    if entry.change_message.startswith("{"):
        try:
            message = json.loads(entry.change_message)
        except json.JSONDecodeError:
            message = {}
        verb, reason = message.get("verb", verb), message.get("reason", "")
    else:
        reason = entry.get_change_message()
    url = ""
    if entry.action_flag != DELETION and entry.content_type_id:
        url = entry.get_admin_url() or ""
    kind = _name_of(entry.content_type)
    return Line(entry, _called(entry), kind, str(VERBS.get(verb, verb)), reason, url)


def _called(entry: LogEntry) -> str:
    """Return what it is called; a schedule's row is logged as "name: when"."""
    is_schedule = entry.content_type is not None and entry.content_type.name == "periodic task"
    name = entry.object_repr.rpartition(": ")[0] if is_schedule else ""
    return name or entry.object_repr


def _clean(params: QueryDict, name: str) -> str:
    return params.get(name, "").strip().replace("\x00", "")
