"""Finding the saga that somebody means: by id or business key, in the archive, too."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from django.core.management.base import CommandError

from sagas.models import JournalEntry, Saga, SagaStart
from sagas.retention.archive import find_archived_by, restore


class Found(NamedTuple):
    """A saga with its start and its journal; out of the archive they are in no table any more."""

    saga: Saga
    start: SagaStart | None
    journal: list[JournalEntry]
    is_archived: bool = False


def find_saga(text: str) -> Saga:
    """Return a saga by id or by business key, of several with that key the newest."""
    rows = Saga.objects.select_related("definition").order_by("-pk")
    try:
        saga = rows.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        saga = rows.filter(business_key=text).first()
    if saga is None:
        raise CommandError(f"There is no saga with the id or business key {text!r}.")
    return saga


def find_with_journal(text: str) -> Found:
    """Return a saga with its journal, from the archive when it is nowhere else."""
    try:
        saga = find_saga(text)
    except CommandError:
        archived = find_archived_by(text)
        if archived is None:
            raise
        return Found(*restore(archived), is_archived=True)
    journal = list(JournalEntry.objects.filter(saga_id=saga.pk).order_by("seq"))
    return Found(saga, SagaStart.objects.filter(pk=saga.pk).first(), journal)
