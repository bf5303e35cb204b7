"""Tags and filters of the console's templates: icons, statuses, times, JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.icons import FILLED, LOOKS, STROKED
from outbox.sentences import speak

register = template.Library()

# Longer JSON is cut in the page; the API gives all of it.
JSON_SHOWN = 40_000
# Characters of a name in a list; the page of the thing shows all of it.
NAME_SHOWN = 48


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon; it is decoration, the word beside it says the same."""
    if name in FILLED:
        return format_html(
            '<svg class="icon is-filled" viewBox="0 0 16 16" aria-hidden="true">'
            '<path fill-rule="evenodd" d="{}"/></svg>',
            FILLED[name],
        )
    return format_html(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"/></svg>',
        STROKED[name],
    )


@register.simple_tag
def status(code: str, label: str = "") -> SafeString:
    """Show a status as colour, word and shape."""
    tone, shape = LOOKS.get(code, ("quiet", "ring"))
    return format_html(
        '<span class="status tone-{}" data-status="{}">{}<span>{}</span></span>',
        tone,
        code,
        icon(shape),
        label or code,
    )


@register.filter
def tone(code: str) -> str:
    """Return the tone of a status, for a class name."""
    return LOOKS.get(code, ("quiet", "ring"))[0]


@register.filter
def moment(value: datetime | float | None) -> SafeString | str:
    """Show a time relative to now, with the exact one on hover."""
    if value is None:
        return "—"
    value = _as_time(value)
    return _time_tag(value, relative(value))


@register.filter
def age(value: datetime | float | None) -> SafeString | str:
    """Show how long ago a time was, as a length ("3 min"), with the exact one on hover."""
    return _length(value, sign=1)


@register.filter
def time_left(value: datetime | float | None) -> SafeString | str:
    """Show how long it is until a time, as a length ("3 min"), with the exact one on hover."""
    return _length(value, sign=-1)


@register.filter
def is_past(value: datetime | float) -> bool:
    """Say whether a time went by more than a second ago."""
    return (timezone.now() - _as_time(value)).total_seconds() > 1


def _length(value: datetime | float | None, *, sign: int) -> SafeString | str:
    if value is None:
        return "—"
    value = _as_time(value)
    seconds = sign * (timezone.now() - value).total_seconds()
    return _time_tag(value, duration(max(0.0, seconds), coarse=True))


def _as_time(value: datetime | float) -> datetime:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value


def _time_tag(value: datetime, words: str) -> SafeString:
    local = timezone.localtime(value)
    exact = f"{date_format(local, 'Y-m-d H:i:s')} {local.tzname()}"
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact, words)


def relative(value: datetime) -> str:
    """Return "3 min ago" or "in 3 min"."""
    seconds = (timezone.now() - value).total_seconds()
    if abs(seconds) < 1:
        return _("now")
    span = duration(abs(seconds), coarse=True)
    return _("%(span)s ago") % {"span": span} if seconds > 0 else _("in %(span)s") % {"span": span}


@register.filter
def duration(seconds: float | None, coarse: bool = False) -> str:
    """Return a length of time in at most two units, or in one when coarse."""
    if seconds is None:
        return "—"
    if seconds < 1 and not coarse:
        return _("%(n)d ms") % {"n": round(seconds * 1000)}
    if seconds < 10 and seconds % 1 and not coarse:
        return _("%(n).1f s") % {"n": seconds}
    total = int(seconds)
    days, rest = divmod(total, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    units = [
        (days, ngettext("%(n)d day", "%(n)d days", days)),
        (hours, _("%(n)d h")),
        (minutes, _("%(n)d min")),
        (rest, _("%(n)d s")),
    ]
    while len(units) > 1 and not units[0][0]:
        units.pop(0)
    shown = units[:1] if coarse else units[:2]
    return " ".join(words % {"n": n} for n, words in shown if n or len(shown) == 1)


@register.filter
def pretty_json(value: Any) -> str:
    """Return JSON indented for reading, cut when it is very long."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if len(text) <= JSON_SHOWN:
        return text
    cut = _("… %(count)s more characters; the API gives all of it") % {
        "count": f"{len(text) - JSON_SHOWN:,}"
    }
    return f"{text[:JSON_SHOWN]}\n{cut}"


@register.filter
def brief(text: Any) -> SafeString | str:
    """Show a long name by its two ends, with all of it on hover."""
    words = str(text)
    if len(words) <= NAME_SHOWN:
        return words
    head = NAME_SHOWN // 2
    shown = f"{words[:head]}…{words[head + 1 - NAME_SHOWN :]}"
    return format_html('<span title="{}">{}</span>', words, shown)


@register.filter
def short_id(value: Any) -> str:
    """Return the end of an id, which tells apart those made in the same moment."""
    return f"…{str(value)[-8:]}"


@register.filter
def spoken(message: str) -> str:
    """Show a stored message, in the reader's language when it is one of our own."""
    return speak(message)


@register.filter
def at_key(mapping: Any, key: Any) -> Any:
    """Return what a mapping holds under a key that is only known to the template."""
    return mapping.get(key) if mapping else None


@register.filter
def percent(share: float | None) -> str:
    """Return a share as percent; never 100 % while anything is missing from it."""
    if share is None:
        return "—"
    if share < 1:
        share = min(share, 0.999)
    return f"{share * 100:.1f} %" if 0 < share < 1 else f"{share * 100:.0f} %"
