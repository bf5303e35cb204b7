"""Lists paged by key: no OFFSET and no COUNT, so a page costs the same however long the list is.

The address carries `before` or `after`: the key of the row at the edge that was seen last. A
page therefore stays where it is while rows come and go around it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import CompositePrimaryKey, Model, QuerySet

PAGE_SIZE = 50
COUNT_CAP = 10_000

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of a list, newest first. `newer` and `older` are cursors, empty at the ends."""

    rows: list[Row]
    newer: str = ""
    older: str = ""
    # Nothing newer can appear above the first row: the page without a cursor.
    is_first: bool = True


class CappedCount(NamedTuple):
    """How many rows there are, counted no further than a cap."""

    value: int
    capped: bool = False

    def __str__(self) -> str:
        return f"{self.value:,}+" if self.capped else f"{self.value:,}"

    def __bool__(self) -> bool:
        return self.value > 0


def read_page(
    queryset: QuerySet[Row], params: Mapping[str, str], *, size: int = PAGE_SIZE
) -> Page[Row]:
    """Return the page of the queryset that `before` or `after` in the address ask for.

    Rows come in descending order of the primary key, which may be a composite one. A cursor
    that cannot be read gives the first page.
    """
    before = _read_cursor(queryset.model, params.get("before", ""))
    after = _read_cursor(queryset.model, params.get("after", ""))
    if after is not None:
        rows = list(queryset.filter(pk__gt=after).order_by("pk")[: size + 1])
        more = len(rows) > size
        rows = rows[:size][::-1]
        if not more:  # the top has been reached: show it whole, as the first page does
            return read_page(queryset, {}, size=size)
        return Page(rows, newer=_cursor(rows[0]), older=_cursor(rows[-1]), is_first=False)
    if before is not None:
        queryset = queryset.filter(pk__lt=before)
    rows = list(queryset.order_by("-pk")[: size + 1])
    older = _cursor(rows[size - 1]) if len(rows) > size else ""
    newer = _cursor(rows[0]) if before is not None and rows else ""
    return Page(rows[:size], newer=newer, older=older, is_first=before is None)


def count_up_to(queryset: QuerySet[Any], cap: int = COUNT_CAP) -> CappedCount:
    """Count the rows, but never read more of them than the cap."""
    count = queryset.order_by()[: cap + 1].count()
    return CappedCount(min(count, cap), capped=count > cap)


def _cursor(row: Model) -> str:
    parts = row.pk if isinstance(row.pk, tuple) else (row.pk,)
    return "~".join(str(part) for part in parts)


def _read_cursor(model: type[Model], cursor: str) -> Any:
    """Return the key that a cursor stands for, or None for no cursor or an unreadable one."""
    key = model._meta.pk
    fields: Any = key.fields if isinstance(key, CompositePrimaryKey) else (key,)
    parts = cursor.split("~")
    if not cursor or len(parts) != len(fields):
        return None
    try:
        values = tuple(field.to_python(part) for field, part in zip(fields, parts, strict=True))
    except ValidationError:
        return None
    return values if len(values) > 1 else values[0]


def first_id_at(when: datetime) -> uuid.UUID:
    """Return the smallest UUIDv7 of a moment: "since when" answered by the primary key alone."""
    millis = int(when.timestamp() * 1000)
    return uuid.UUID(int=(millis << 80) | (7 << 76) | (2 << 62))
