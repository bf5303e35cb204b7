"""The stored definitions: versioned, never changed, and read once per process."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import Any

from django.db import connection, transaction

from sagas.core import definition as core
from sagas.exceptions import DefinitionChanged, DefinitionNotFound, DefinitionUnreadable
from sagas.missing import Kind, Missing, note
from sagas.models import Definition
from sagas.nesting import check_children

# How long a process may start sagas on the version that was the newest when it last looked.
FRESH_S = 1.0

_compiled: dict[int, core.Definition] = {}
_unreadable: dict[int, DefinitionUnreadable] = {}
_newest: dict[tuple[str, int | None], tuple[float, int]] = {}
_lock = threading.Lock()


def checksum(spec: dict[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of a definition, in hex."""
    text = json.dumps(spec, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def store_definition(
    definition: core.Definition, *, format: str = Definition.Format.PYTHON, source: str = ""
) -> tuple[Definition, bool]:
    """Store a definition and return its row and whether it is new. Safe to call twice.

    Content equal to the newest version's gives that version. A definition that names no version
    (0) gets the next number. Raises DefinitionChanged when a stored version is declared anew
    with other content, and DefinitionError for a sub-saga that is not stored.
    """
    spec = core.to_spec(definition)
    digest = checksum(spec)
    with transaction.atomic():
        _serialise_by_name(definition.name)
        versions = Definition.objects.filter(name=definition.name)
        latest = versions.order_by("-version").first()
        if definition.version:
            stored = versions.filter(version=definition.version).first()
            if stored is not None and stored.checksum != digest:
                raise DefinitionChanged(definition.name, definition.version)
        else:
            stored = latest if latest is not None and latest.checksum == digest else None
        if stored is not None:
            return stored, False
        check_children(definition)
        number = definition.version or (latest.version + 1 if latest else 1)
        return Definition.objects.create(
            name=definition.name,
            version=number,
            format=format,
            source=source,
            spec=spec,
            checksum=digest,
        ), True


def _serialise_by_name(name: str) -> None:
    """Let two processes that load the same definition at once take turns."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def find_definition(name: str, version: int | None = None) -> Definition:
    """Return a stored definition, by default its newest version. Raises DefinitionNotFound."""
    rows = Definition.objects.filter(name=name).order_by("-version")
    if version is not None:
        rows = rows.filter(version=version)
    row = rows.first()
    if row is None:
        raise DefinitionNotFound(name, version)
    return row


def definition_to_start(name: str, version: int | None) -> tuple[int, core.Definition]:
    """Return id and content of what a start by this name begins with.

    Looked up at most once a second and process. Raises DefinitionNotFound.
    """
    read_at, pk = _newest.get((name, version), (float("-inf"), 0))
    if time.monotonic() - read_at > FRESH_S:
        pk = find_definition(name, version).pk
        _newest[name, version] = time.monotonic(), pk
    return pk, compiled({pk})[pk]


def compiled(definition_ids: set[int]) -> dict[int, core.Definition]:
    """Return definitions as the core knows them; each is read from the database once.

    Raises DefinitionUnreadable when one of them was written by a newer release.
    """
    try:
        return {pk: _compiled[pk] for pk in definition_ids}
    except KeyError:
        _read(definition_ids)
    for unreadable in (_unreadable[pk] for pk in definition_ids & _unreadable.keys()):
        note(Missing(Kind.DEFINITION, unreadable.name, str(unreadable.version)))
        raise DefinitionUnreadable(unreadable.name, unreadable.version, unreadable.why)
    return {pk: _compiled[pk] for pk in definition_ids}


def readable(definition_ids: set[int]) -> dict[int, core.Definition]:
    """Return those of the definitions that this release can read."""
    _read(definition_ids)
    return {pk: _compiled[pk] for pk in definition_ids & _compiled.keys()}


def _read(definition_ids: set[int]) -> None:
    rows = Definition.objects.in_bulk(definition_ids - _compiled.keys() - _unreadable.keys())
    with _lock:
        for pk, row in rows.items():
            try:
                _compiled[pk] = row.as_core()
            except DefinitionUnreadable as unreadable:
                # It never changes, and neither does what this process can read.
                _unreadable[pk] = unreadable


def forget_compiled() -> None:
    """Forget what was read; for tests, whose databases begin anew."""
    _compiled.clear()
    _unreadable.clear()
    _newest.clear()
