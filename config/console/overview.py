"""The overview: what needs a person first, then how things go."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config.console.chart import draw
from config.heartbeat import SILENT_AFTER_S, Pulse, read_pulse
from dlq.gauges import letter_groups
from outbox.console.routes import route_lines, stuck_keys
from outbox.pages import render_page
from outbox.templatetags.console import duration
from sagas.console import attention
from sagas.waiting import waiting

# A key that waits for the first retries of an earlier message is not stuck yet.
STUCK_AFTER_S = 60
KEYS_SHOWN = 5
GROUPS_SHOWN = 8


class Problem(NamedTuple):
    """Something that holds work up, and where to look."""

    tone: str
    text: str
    advice: str = ""
    url: str = ""


def overview(request: HttpRequest) -> TemplateResponse:
    """Show the parts that the reader may see."""
    context: dict[str, Any] = {"title": _("Overview"), "problems": []}
    pulse = read_pulse()
    context["problems"] += _silent(pulse)
    if request.user.has_perm("sagas.view_saga"):
        now, hour = attention.now(), attention.last_hour()
        context |= {"now": now, "hour": hour, "chart": draw(hour.minutes)}
        context["failed_groups"] = attention.failed_groups()
        context["problems"] += _held_up(now)
        context["waiting"] = waiting()
        decisions = attention.awaited_decisions(request.user)
        context |= {"decisions": decisions.rows, "decisions_total": decisions.total}
    if request.user.has_perm("sagas.view_participant"):
        context["paused_participants"] = attention.paused_participants()
    if request.user.has_perm("dlq.view_deadletter"):
        context["letter_groups"] = letter_groups(limit=GROUPS_SHOWN).groups
    if request.user.has_perm("outbox.view_message"):
        context["routes"] = route_lines()
        context["stuck_keys"] = stuck_keys(STUCK_AFTER_S, limit=KEYS_SHOWN)
    context["is_calm"] = not any(
        context.get(name)
        for name in (
            "problems",
            "decisions",
            "failed_groups",
            "letter_groups",
            "paused_participants",
            "stuck_keys",
            "waiting",
        )
    ) and not any(
        line.route.paused_at or line.route.outage_since for line in context.get("routes", [])
    )
    return render_page(request, "console/overview.html", context)


def _silent(pulse: Pulse) -> list[Problem]:
    """Name what has not reported: without beat or workers nothing goes on by itself."""
    if not pulse.redis_is_up:
        return [
            Problem(
                "bad",
                _("Redis does not answer."),
                _("Nothing is lost, but work is not handed to the workers until it is back."),
            )
        ]
    problems = []
    if pulse.worker_s is None or pulse.worker_s > SILENT_AFTER_S:
        problems.append(
            Problem(
                "bad",
                _since(
                    pulse.worker_s,
                    _("No worker has reported for %s."),
                    _("No worker has reported yet."),
                ),
                _("Start one: celery -A config worker"),
            )
        )
    if pulse.beat_s is None or pulse.beat_s > SILENT_AFTER_S:
        problems.append(
            Problem(
                "bad",
                _since(
                    pulse.beat_s,
                    _("Beat has not reported for %s."),
                    _("Beat has not reported yet."),
                ),
                _("Start it: celery -A config beat"),
            )
        )
    return problems


def _since(seconds: float | None, silent: str, never: str) -> str:
    return never if seconds is None else silent % duration(seconds)


def _held_up(now: attention.Now) -> list[Problem]:
    problems = []
    sagas = reverse("admin:saga_list")
    if now.overdue:
        words = ngettext(
            "%(n)s saga has been due for more than %(s)d s.",
            "%(n)s sagas have been due for more than %(s)d s.",
            now.overdue.value,
        )
        problems.append(
            Problem(
                "warn",
                words % {"n": now.overdue, "s": attention.OVERDUE_S},
                _("Workers are missing, or too few."),
                f"{sagas}?status=running",
            )
        )
    if now.paused:
        words = ngettext("%(n)s saga is paused.", "%(n)s sagas are paused.", now.paused.value)
        problems.append(Problem("warn", words % {"n": now.paused}, url=f"{sagas}?paused=1"))
    return problems
