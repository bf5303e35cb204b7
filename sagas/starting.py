"""Starting sagas: with the caller's transaction, or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction

from outbox.messages import NewMessage
from outbox.publishing import RELAY_TASK
from outbox.statements import insert_messages
from outbox.uuid7 import uuid7
from outbox.waking import wake_on_commit
from sagas import catalogue
from sagas.core.decide import advance
from sagas.core.definition import Definition
from sagas.core.happenings import Started as StartedHappening
from sagas.core.journal import Entry, initial
from sagas.engine import statements
from sagas.engine.lanes import Priority, lane_of, priority_of
from sagas.engine.waking import wake_driver_on_commit
from sagas.events import messages_of
from sagas.exceptions import IdempotencyConflict, InvalidInput
from sagas.models import Saga, SagaStart
from sagas.searching import attributes_of
from sagas.storable import NotStorableError, clean_text, encode, encode_storable

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Start(NamedTuple):
    """One saga to start. `input` is any JSON value.

    Tenants of one definition take turns, and so do priorities; None: the definition's own. With
    `at` its first step waits until then; it is there from now on, and can be cancelled.
    """

    business_key: str
    input: Any
    idempotency_key: str | None = None
    tenant: str = ""
    priority: Priority | None = None
    at: datetime | None = None


class Started(NamedTuple):
    """What became of one start; `conflict` when its key had started something else before."""

    saga_id: uuid.UUID
    created: bool
    conflict: bool = False


def start(
    definition: str,
    input: Any,
    *,
    business_key: str,
    idempotency_key: str | None = None,
    version: int | None = None,
    traceparent: str = "",
    tenant: str = "",
    priority: Priority | None = None,
    at: datetime | None = None,
) -> Started:
    """Start one saga. Inside a transaction it starts with that transaction, or not at all.

    The same idempotency key with the same definition, input and tenant returns the first saga,
    whenever that starts.
    Raises DefinitionNotFound, InvalidInput, and IdempotencyConflict when the key was used for
    another definition, input or tenant.
    """
    [started] = start_many(
        definition,
        [Start(business_key, input, idempotency_key, tenant, priority, at)],
        version=version,
        traceparent=traceparent,
    )
    if started.conflict:
        raise IdempotencyConflict(idempotency_key or "", started.saga_id)
    return started


def start_many(
    definition: str,
    starts: Iterable[Start],
    *,
    version: int | None = None,
    traceparent: str = "",
) -> list[Started]:
    """Start any number of sagas of one definition, set-based, in one transaction.

    The result has one item per start, in the same order. Raises DefinitionNotFound and
    InvalidInput, before anything is written; a conflict of idempotency keys is told per item.
    """
    return _start_all(definition, starts, version=version, traceparent=traceparent)


def start_child(
    definition: str, start: Start, *, parent: dict[str, str], traceparent: str
) -> uuid.UUID:
    """Start a saga for a step of another one, {"saga", "step"}, and return its id.

    It has the tenant and the priority of its parent. Raises what `start` raises.
    """
    of_parent = Saga.objects.values_list("lane", "start__tenant").get(pk=parent["saga"])
    start = start._replace(priority=priority_of(of_parent[0]), tenant=of_parent[1])
    [started] = _start_all(
        definition, [start], version=None, traceparent=traceparent, parent=parent
    )
    if started.conflict:
        raise IdempotencyConflict(start.idempotency_key or "", started.saga_id)
    return started.saga_id


def _start_all(
    definition: str,
    starts: Iterable[Start],
    *,
    version: int | None,
    traceparent: str,
    parent: dict[str, str] | None = None,
) -> list[Started]:
    if traceparent and not _TRACEPARENT.fullmatch(traceparent):
        raise InvalidInput(f"traceparent {traceparent[:80]!r} is none (W3C Trace Context, 3.2).")
    definition_id, core = catalogue.definition_to_start(definition, version)
    prepared = [_Prepared.of(core, item) for item in starts]
    if not prepared:
        return []
    known: dict[str, tuple[uuid.UUID, bytes]] = {}
    with transaction.atomic(savepoint=False):
        if all(item.start.idempotency_key is None for item in prepared):
            fresh = prepared
            with statements.raw_connection().pipeline():
                _insert_starts(prepared, traceparent)
                _insert_sagas(definition_id, core, prepared, traceparent, parent)
        else:
            fresh, known = _insert_starts_once(prepared, traceparent)
            if fresh:
                with statements.raw_connection().pipeline():
                    _insert_sagas(definition_id, core, fresh, traceparent, parent)
        if fresh:
            wake_driver_on_commit()
            wake_on_commit(RELAY_TASK)
    ids = {item.id for item in fresh}
    return [_outcome(item, ids, known) for item in prepared]


class _Prepared(NamedTuple):
    id: uuid.UUID
    start: Start
    input: str
    digest: bytes
    search: str | None

    @classmethod
    def of(cls, definition: Definition, start: Start) -> _Prepared:
        encoded = encode_input(start)
        digest = b""
        if start.idempotency_key is not None:
            canonical = json.dumps(start.input, sort_keys=True, ensure_ascii=False)
            whose = f"\n{start.tenant}" if start.tenant else ""
            digest = hashlib.sha256(f"{definition.name}\n{canonical}{whose}".encode()).digest()
        search = attributes_of(definition, start.input) if definition.search else None
        return cls(uuid7(), start, encoded, digest, search)


def encode_input(start: Start) -> str:
    """Return the input as JSON text. Raises InvalidInput for what cannot be stored."""
    key = start.business_key
    if not _is_key(key):
        raise InvalidInput("business_key must be a text of 1 to 200 characters.")
    if start.idempotency_key is not None and not _is_key(start.idempotency_key):
        raise InvalidInput(f"{key}: idempotency_key must be a text of 1 to 200 characters.")
    if start.tenant != "" and not _is_key(start.tenant):
        raise InvalidInput(f"{key}: tenant must be a text of up to 200 characters.")
    if start.at is not None and start.at.utcoffset() is None:
        raise InvalidInput(f"{key}: at must be a time with a time zone.")
    try:
        return encode_storable(start.input, limit=settings.SAGAS_MAX_INPUT_BYTES)
    except NotStorableError as error:
        raise InvalidInput(f"{key}: the input {error}.") from error


def _is_key(key: object) -> bool:
    return isinstance(key, str) and 0 < len(key) <= 200 and clean_text(key) == key


def _insert_starts(prepared: Sequence[_Prepared], traceparent: str) -> None:
    with statements.raw_cursor() as cursor:
        cursor.execute(
            statements.INSERT_STARTS, _start_columns(prepared, traceparent), prepare=True
        )


def _insert_starts_once(
    prepared: Sequence[_Prepared], traceparent: str
) -> tuple[list[_Prepared], dict[str, tuple[uuid.UUID, bytes]]]:
    """Insert those whose key is new; return them, and what the other keys have started.

    A start of the same key that is not committed yet makes this one wait for it.
    """
    with statements.raw_cursor() as cursor:
        cursor.execute(
            statements.INSERT_STARTS + " RETURNING saga_id",
            _start_columns(prepared, traceparent),
            binary=True,
            prepare=True,
        )
        inserted = {saga_id for (saga_id,) in cursor.fetchall()}
    fresh = [item for item in prepared if item.id in inserted]
    keys = [item.start.idempotency_key for item in prepared if item.id not in inserted]
    rows = SagaStart.objects.filter(idempotency_key__in=keys) if keys else ()
    return fresh, {
        row.idempotency_key: (row.saga_id, bytes(row.input_digest))
        for row in rows
        if row.idempotency_key is not None
    }


def _start_columns(prepared: Sequence[_Prepared], traceparent: str) -> list[Any]:
    return [
        traceparent,
        [item.id for item in prepared],
        [item.input for item in prepared],
        [item.start.idempotency_key for item in prepared],
        [item.digest for item in prepared],
        [item.start.tenant for item in prepared],
        # The shortest column is filled up with NULL.
        [item.search for item in prepared] if any(item.search for item in prepared) else [],
    ]


def _insert_sagas(
    definition_id: int,
    core: Definition,
    fresh: Sequence[_Prepared],
    traceparent: str,
    parent: dict[str, str] | None,
) -> None:
    by_time: dict[datetime | None, list[_Prepared]] = {}
    for item in fresh:
        by_time.setdefault(item.start.at, []).append(item)
    for at, items in by_time.items():
        # The entry's time is the transaction's own; nothing in the state depends on it.
        started = StartedHappening(0.0, parent, None if at is None else at.timestamp())
        _insert_alike(definition_id, core, items, traceparent, started)


def _insert_alike(
    definition_id: int,
    core: Definition,
    fresh: Sequence[_Prepared],
    traceparent: str,
    started: StartedHappening,
) -> None:
    """Insert sagas that begin in the same state."""
    entries, state = advance(core, initial(len(core.steps)), started)
    ids = [item.id for item in fresh]
    keys = [item.start.business_key for item in fresh]
    lanes = _lanes(definition_id, Priority.of(core.priority), fresh)
    encoded = statements.encode_state(state)
    row = (definition_id, encoded, state.version, started.starts_at, ids, keys, lanes)
    with statements.raw_cursor() as cursor:
        cursor.execute(statements.INSERT_SAGAS, row, prepare=True)
        cursor.execute(statements.INSERT_JOURNAL, _journal_columns(ids, entries), prepare=True)
        messages: list[NewMessage] = []
        for saga_id, key in zip(ids, keys, strict=True):
            messages += messages_of(core, saga_id, key, entries, state, traceparent=traceparent)
        insert_messages(cursor, messages)


def _lanes(definition_id: int, usual: Priority, fresh: Sequence[_Prepared]) -> list[int]:
    """Return each start's lane; starts of one call are mostly of one lane."""
    lane = cache(lane_of)
    return [
        lane(definition_id, start.tenant, usual if start.priority is None else start.priority)
        for _, start, *_ in fresh
    ]


def _journal_columns(ids: Sequence[uuid.UUID], entries: Sequence[Entry]) -> list[list[Any]]:
    """Return the columns of the same first entries for every saga."""
    count = len(ids) * len(entries)
    return [
        [saga_id for saga_id in ids for _ in entries],
        [seq for _ in ids for seq in range(1, len(entries) + 1)],
        [entry.kind.value for _ in ids for entry in entries],
        [""] * count,
        [encode(entry.data) for entry in entries] * len(ids),
        [None] * count,
    ]


def _outcome(
    item: _Prepared, fresh: set[uuid.UUID], known: dict[str, tuple[uuid.UUID, bytes]]
) -> Started:
    if item.id in fresh:
        return Started(item.id, created=True)
    saga_id, digest = known[item.start.idempotency_key or ""]
    return Started(saga_id, created=False, conflict=digest != item.digest)
