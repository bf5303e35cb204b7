"""Starting one saga per row of a CSV or JSONL file: streaming, and safe to run twice."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import datetime
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from sagas.engine.lanes import Priority
from sagas.exceptions import InvalidInput
from sagas.starting import Start, encode_input, start_many

BATCH = 500
# What JSON would write as this very number; 007 and 1e5 stay text.
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d{1,17})?")


class Row(NamedTuple):
    """A row that can be started, with its line in the file."""

    line: int
    start: Start


class BadRow(NamedTuple):
    """A row that cannot, and why."""

    line: int
    why: str


class Progress(NamedTuple):
    """What came of the file so far; `position` in bytes."""

    position: int
    started: int = 0
    known: int = 0
    bad: tuple[BadRow, ...] = ()


def start_file(
    path: Path,
    *,
    definition: str,
    key: str,
    version: int | None = None,
    as_text: bool = False,
    tenant: str = "",
    priority: Priority | None = None,
    at: datetime | None = None,
) -> Iterator[Progress]:
    """Start a saga per row, a batch and a transaction at a time; yield what each batch came to.

    The field `key` is the business key, and with the definition's name the idempotency key, so
    a second run starts only what the first one did not. In a CSV file values that look like
    JSON numbers become numbers, unless `as_text`. Raises DefinitionNotFound, InvalidInput for a
    file without that field, OSError.
    """
    with (
        path.open("rb") as raw,
        TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="") as file,
    ):
        reading = _jsonl_rows if path.suffix in (".jsonl", ".ndjson") else _csv_rows
        shared = {"tenant": tenant, "priority": priority, "at": at}
        rows = _for(shared, reading(file, definition, key, as_text))
        while batch := list(islice(rows, BATCH)):
            yield _start_batch(batch, definition, version, raw.tell())


def _for(shared: dict[str, Any], rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
    for row in rows:
        if isinstance(row, Row):
            row = row._replace(start=row.start._replace(**shared))
        yield row


def _start_batch(
    batch: list[Row | BadRow], definition: str, version: int | None, position: int
) -> Progress:
    bad = [row for row in batch if isinstance(row, BadRow)]
    good = []
    for row in batch:
        if isinstance(row, Row):
            try:
                encode_input(row.start)
                good.append(row)
            except InvalidInput as error:
                bad.append(BadRow(row.line, str(error)))
    outcomes = start_many(definition, [row.start for row in good], version=version)
    for row, outcome in zip(good, outcomes, strict=True):
        if outcome.conflict:
            why = (
                f"{row.start.business_key} has started saga {outcome.saga_id} already, "
                "with other values."
            )
            bad.append(BadRow(row.line, why))
    started = sum(outcome.created for outcome in outcomes)
    known = sum(not outcome.created and not outcome.conflict for outcome in outcomes)
    return Progress(position, started, known, tuple(sorted(bad)))


def _csv_rows(file: TextIO, definition: str, key: str, as_text: bool) -> Iterator[Row | BadRow]:
    reader = csv.DictReader(file, strict=True)
    fields = reader.fieldnames
    if fields is None or key not in fields:
        raise InvalidInput(
            f"The file has no column {key!r}; its first line names: {', '.join(fields or [])}."
        )
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(reader.line_num, f"No CSV: {error}.")
            continue
        if None in values or None in values.values():
            yield BadRow(reader.line_num, f"It does not have {len(fields)} fields.")
            continue
        data = values if as_text else {name: _number(text) for name, text in values.items()}
        yield _row(reader.line_num, data, values[key], definition)


def _jsonl_rows(file: TextIO, definition: str, key: str, as_text: bool) -> Iterator[Row | BadRow]:
    for line, text in enumerate(iter(file.readline, ""), 1):
        if not text.strip():
            continue
        try:
            data = json.loads(text)
        except ValueError as error:
            yield BadRow(line, f"No JSON: {error}.")
            continue
        if not isinstance(data, dict) or key not in data:
            yield BadRow(line, f"It is no object with a field {key!r}.")
            continue
        yield _row(line, data, data[key], definition)


def _row(line: int, data: dict[str, Any], key: Any, definition: str) -> Row | BadRow:
    if not isinstance(key, str | int) or isinstance(key, bool) or not str(key).strip():
        return BadRow(line, "Its key is empty or no text.")
    business_key = str(key).strip()
    return Row(line, Start(business_key, data, f"{definition}:{business_key}"))


def _number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
