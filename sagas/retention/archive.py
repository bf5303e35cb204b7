"""The archive: a saga with all that belongs to it in one row, and how it is read back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from django.db import connection
from django.db.models import Model

from sagas.models import ArchivedSaga, JournalEntry, Saga, SagaStart

# Whole rows, so that columns that come later are archived, too. PostgreSQL compresses a document
# that is longer than some 2,000 bytes.
_ARCHIVE = """
INSERT INTO sagas_archivedsaga
    (id, definition_id, business_key, status, started_at, ended_at, document)
SELECT s.id, s.definition_id, s.business_key, s.status, s.created_at, s.updated_at,
    jsonb_build_object(
        'saga', to_jsonb(s) - 'id' - 'definition_id' - 'business_key' - 'status',
        'start', (
            SELECT to_jsonb(start) - 'saga_id' - 'input_digest'
            FROM sagas_sagastart AS start WHERE start.saga_id = s.id),
        'journal', (
            SELECT jsonb_agg(to_jsonb(entry) - 'saga_id' ORDER BY entry.seq)
            FROM sagas_journalentry AS entry WHERE entry.saga_id = s.id),
        'requests', (
            SELECT coalesce(jsonb_agg(to_jsonb(request) - 'saga_id' ORDER BY request.at), '[]')
            FROM sagas_verbrequest AS request WHERE request.saga_id = s.id))
FROM sagas_saga AS s WHERE s.id = ANY(%s)
"""

Row = TypeVar("Row", bound=Model)


class Snapshot(NamedTuple):
    """An archived saga as it was: rows that are in no table any more and must not be saved."""

    saga: Saga
    start: SagaStart
    journal: list[JournalEntry]


def archive(saga_ids: Sequence[uuid.UUID]) -> None:
    """Write sagas that the caller has locked into the archive, in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_ARCHIVE, [list(saga_ids)])


def find_archived(saga_id: uuid.UUID) -> ArchivedSaga | None:
    return ArchivedSaga.objects.select_related("definition").filter(pk=saga_id).first()


def find_archived_by(text: str) -> ArchivedSaga | None:
    """Return an archived saga by id or by business key, of several with that key the newest."""
    try:
        return find_archived(uuid.UUID(text))
    except ValueError:
        rows = ArchivedSaga.objects.select_related("definition").order_by("-pk")
        return rows.filter(business_key=text).first()


def restore(archived: ArchivedSaga) -> Snapshot:
    """Return the saga as it was at its end."""
    document = archived.document
    own = {
        "id": archived.pk,
        "definition_id": archived.definition_id,
        "business_key": archived.business_key,
        "status": archived.status,
    }
    saga = _read(Saga, document["saga"] | own)
    saga.definition = archived.definition
    start = _read(SagaStart, (document["start"] or {}) | {"saga_id": archived.pk})
    saga.start = start
    entries = document["journal"] or []
    journal = [_read(JournalEntry, entry | {"saga_id": archived.pk}) for entry in entries]
    return Snapshot(saga, start, journal)


def _read(model: type[Row], values: Mapping[str, Any]) -> Row:
    """Return a row of JSON values; columns that the table has no more are left out."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    return model(
        **{name: fields[name].to_python(value) for name, value in values.items() if name in fields}
    )
