"""Following journals as they grow, with queries that stay small however much there is.

One saga is followed by the key of its journal. Of all of them those are followed that are new,
and those that the outbox tells of; only their versions are read, and entries where one has grown.
No index over the time of entries is needed, for which every entry would pay.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Max, QuerySet

from outbox.models import Message
from outbox.paging import first_id_at
from sagas.engine import statements
from sagas.models import Definition, JournalEntry, Saga

# As many of the newest sagas, and of the newest messages, are looked at.
NEWEST = 500
MESSAGES = 500
# More than these are not kept in mind.
FOLLOWED = 2_000
# Lines of one look; what is left comes with the next one.
MOST_LINES = 2_000
# Messages that commit later than others have an older id.
OVERLAP = timedelta(seconds=5)

_ENTRIES = """
SELECT e.saga_id, s.business_key, e.seq, e.kind, e.at, e.step, e.data
FROM unnest(%s::uuid[], %s::int[]) AS known(id, seen)
JOIN sagas_journalentry AS e ON e.saga_id = known.id AND e.seq > known.seen
JOIN sagas_saga AS s ON s.id = known.id
ORDER BY e.at, e.saga_id, e.seq
LIMIT %s
"""


class Followed(NamedTuple):
    """A new entry of some saga's journal."""

    saga_id: uuid.UUID
    business_key: str
    seq: int
    kind: str
    at: datetime
    step: str
    data: dict[str, Any]


class Follower:
    """Finds what is new since it last looked; of many sagas at most the newest."""

    def __init__(
        self, *, saga_id: uuid.UUID | None = None, definition: str = "", seen: int = 0
    ) -> None:
        self._one = saga_id
        self._definition = definition
        # The number of the last entry that was given, by saga.
        self._seen: dict[uuid.UUID, int] = {}
        self._since = datetime.fromtimestamp(0).astimezone()
        if saga_id is not None:
            self._seen[saga_id] = seen
        else:
            # What was written before it began to look is not given.
            self._since = datetime.fromtimestamp(statements.read_clock()).astimezone()
            self._seen = dict(self._newest().values_list("pk", "version")[:NEWEST])
        # Whatever is newer was started since.
        self._first = max(self._seen, default=uuid.UUID(int=0))

    def look(self) -> list[Followed]:
        """Return the entries that have come since, oldest first."""
        if self._one is None:
            self._find_more()
        grown = self._grown()
        if not grown:
            return []
        seen = [self._seen[pk] for pk in grown]
        with connection.cursor() as cursor:
            cursor.execute(_ENTRIES, [list(grown), seen, MOST_LINES])
            entries = [_read(*row) for row in cursor.fetchall()]
        if len(entries) < MOST_LINES:
            self._seen |= grown
        for entry in entries:
            self._seen[entry.saga_id] = max(self._seen[entry.saga_id], entry.seq)
        return entries

    def _grown(self) -> dict[uuid.UUID, int]:
        """Return the present versions of the sagas that have new entries."""
        versions = Saga.objects.filter(pk__in=self._seen).values_list("pk", "version")
        return {pk: version for pk, version in versions if version > self._seen[pk]}

    def _newest(self) -> QuerySet[Saga]:
        sagas = Saga.objects.order_by("-pk")
        if not self._definition:
            return sagas
        ids = Definition.objects.filter(name=self._definition).values_list("pk", flat=True)
        return sagas.filter(definition_id__in=list(ids))

    def _find_more(self) -> None:
        newest = list(self._newest().values_list("pk", flat=True)[:NEWEST])
        told = self._told_by_messages()
        self._seen |= self._versions_before(told)
        for pk in newest:
            self._seen.setdefault(pk, 0)
        self._forget({*newest, *told})

    def _versions_before(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
        """Return how far the journals had come when it began to look."""
        old = [pk for pk in ids if pk <= self._first]
        before = JournalEntry.objects.filter(saga_id__in=old, at__lt=self._since)
        counts = before.order_by().values("saga_id").annotate(last=Max("seq"))
        return dict.fromkeys(ids, 0) | dict(counts.values_list("saga_id", "last"))

    def _told_by_messages(self) -> list[uuid.UUID]:
        """Return the sagas, however old, that something has been published about lately."""
        edge = datetime.fromtimestamp(statements.read_clock()).astimezone() - OVERLAP
        messages = Message.objects.filter(pk__gte=first_id_at(edge), saga_id__isnull=False)
        ids = set(messages.order_by("-pk").values_list("saga_id", flat=True)[:MESSAGES])
        return self._of_definition(pk for pk in ids if pk is not None)

    def _of_definition(self, ids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
        unknown = [pk for pk in ids if pk not in self._seen]
        if not (self._definition and unknown):
            return unknown
        sagas = Saga.objects.filter(pk__in=unknown, definition__name=self._definition)
        return list(sagas.values_list("pk", flat=True))

    def _forget(self, present: set[uuid.UUID]) -> None:
        """Keep in mind no more than there is room for, the newest first."""
        if len(self._seen) <= FOLLOWED:
            return
        kept = sorted(self._seen, key=lambda pk: (pk in present, pk), reverse=True)[:FOLLOWED]
        self._seen = {pk: self._seen[pk] for pk in kept}


def _read(
    saga_id: uuid.UUID, key: str, seq: int, kind: str, at: datetime, step: str, data: str
) -> Followed:
    # Django leaves JSON as text.
    return Followed(saga_id, key, seq, kind, at, step, json.loads(data))
