"""Tags for what the engine has stored."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from outbox.templatetags.console import duration
from sagas.locks import locks_of
from sagas.models import Saga
from sagas.scheduling.keeping import Schedule

register = template.Library()


@register.inclusion_tag("console/_saga_locks.html", takes_context=True)
def saga_locks(context: dict[str, Any], saga: Saga) -> dict[str, Any]:
    """Show the locks that a saga holds, and who waits for them."""
    return {"locks": locks_of(saga), "saga": saga, "perms": context["perms"]}


@register.filter
def rhythm(schedule: Schedule) -> SafeString | str:
    """Show when a schedule starts something: its crontab and zone, or its interval."""
    if schedule.row.interval is None:
        crontab = '<code>{}</code> <span class="muted">{}</span>'
        return format_html(crontab, schedule.when, schedule.zone)
    every = schedule.row.interval.schedule.run_every.total_seconds()
    return _("every %(time)s") % {"time": duration(every)}
