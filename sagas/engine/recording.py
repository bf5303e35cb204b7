"""Writing finished work: all changes of a batch in a few statements and one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from psycopg.errors import UniqueViolation

from outbox.messages import NewMessage
from outbox.publishing import RELAY_TASK
from outbox.statements import insert_messages
from outbox.waking import wake_on_commit
from sagas.core.journal import Kind
from sagas.engine import decisions, statements
from sagas.engine.held import Change
from sagas.events import messages_of


class StaleBatch(Exception):
    """Some of these sagas have changed meanwhile; the whole transaction has to be rolled back."""

    def __init__(self, ids: set[uuid.UUID]) -> None:
        super().__init__(f"Some of {len(ids)} sagas have changed meanwhile")
        self.ids = ids


def write(changes: Sequence[Change], *, lease_s: float = 0.0) -> None:
    """Write the changes and what they publish, in the caller's transaction.

    Sagas taken by this change are leased for `lease_s` by the database's clock.

    Raises StaleBatch, naming the sagas of which some have not the epoch or version seen; then
    nothing of the batch may be committed.
    """
    if not changes:
        return
    connection = statements.raw_connection()
    journal = [
        row
        for change in changes
        for row in statements.journal_rows(
            change.held.id,
            change.held.definition,
            change.held.state.version,
            change.entries,
        )
    ]
    messages = [message for change in changes for message in _messages(change)]
    stale = {change.held.id for change in changes}
    try:
        with (
            connection.pipeline(),
            statements.raw_cursor() as update,
            statements.raw_cursor() as insert,
        ):
            # The inserts are on their way before the update is answered; where it says that a
            # saga has changed meanwhile, everything is rolled back.
            written = statements.begin_update(
                update, [change.row() for change in changes], lease_s=lease_s
            )
            if journal:
                statements.insert_journal(insert, journal)
            if messages:
                insert_messages(insert, messages)
            stale -= written()
    except UniqueViolation as error:
        # Whoever changed a saga meanwhile has used the next numbers of its journal. The answer
        # to the update may be lost with this error: then any of them may have changed.
        if error.diag.constraint_name != statements.JOURNAL_KEY or not stale:
            raise
    if stale:
        raise StaleBatch(stale)
    if messages:
        wake_on_commit(RELAY_TASK)
    if asking := [change for change in changes if change.asks]:
        decisions.expect(asking)


_SAYS_SOMETHING = frozenset(
    {
        Kind.SAGA_STARTED,
        Kind.SAGA_COMPLETED,
        Kind.SAGA_COMPENSATED,
        Kind.SAGA_FAILED,
        Kind.ABANDONED,
        Kind.UNDO_FAILED,
        Kind.UNDO_UNKNOWN,
    }
)


def _messages(change: Change) -> Sequence[NewMessage]:
    if not any(entry.kind in _SAYS_SOMETHING for entry in change.entries):
        return change.commands
    held = change.held
    events = messages_of(
        held.definition,
        held.id,
        held.business_key,
        change.entries,
        change.state,
        traceparent=held.traceparent,
    )
    return [*events, *change.commands]
