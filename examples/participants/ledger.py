"""The tables of one service, and the barrier that makes calls harmless to repeat.

Every call is one SQLite transaction: its effect, its first answer and its line in `calls` are
there together or not at all. What is committed outlives the process (WAL).
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from examples.participants.faults import Kind
from examples.participants.protocol import Answer
from examples.participants.services import Action, RefusedError

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS effects (
    id INTEGER PRIMARY KEY, saga_id TEXT NOT NULL, business_key TEXT NOT NULL, step TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 1, action TEXT NOT NULL, resource TEXT NOT NULL,
    quantity INTEGER NOT NULL, amount REAL NOT NULL,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'undone')),
    created_at TEXT NOT NULL DEFAULT ({NOW}), undone_at TEXT);
CREATE INDEX IF NOT EXISTS effects_saga ON effects (saga_id, step);
CREATE INDEX IF NOT EXISTS effects_business_key ON effects (business_key);
CREATE INDEX IF NOT EXISTS effects_resource ON effects (resource) WHERE status = 'active';
-- Append-only: every attempt, and what came of it.
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL, business_key TEXT NOT NULL,
    action TEXT NOT NULL, direction TEXT NOT NULL, attempt INTEGER NOT NULL, outcome TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT ({NOW}));
-- The first answer under each idempotency key.
CREATE TABLE IF NOT EXISTS answers (
    idempotency_key TEXT PRIMARY KEY, status INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
-- Steps whose undo has come, and up to which generation; null: all of them, now and later.
CREATE TABLE IF NOT EXISTS tombstones (
    saga_id TEXT NOT NULL, step TEXT NOT NULL, generation INTEGER,
    at TEXT NOT NULL DEFAULT ({NOW}), PRIMARY KEY (saga_id, step)) WITHOUT ROWID;
"""
# What files of earlier releases do not have.
ADDED = {
    "effects": "ALTER TABLE effects ADD COLUMN generation INTEGER NOT NULL DEFAULT 1",
    "tombstones": "ALTER TABLE tombstones ADD COLUMN generation INTEGER",
}


class Call(NamedTuple):
    """One attempt at an action or its undo. `input` is the saga's."""

    idempotency_key: str
    saga_id: str
    business_key: str
    step: str
    action: str
    direction: str
    attempt: int
    input: dict[str, Any]
    # Of an undo: the key of the action that it takes back; empty: the caller did not say.
    undoes: str = ""

    @property
    def generation(self) -> int:
        """What tells an operator's fresh try ("…/do/2") from the first ("…/do")."""
        return _generation(self.idempotency_key)

    @property
    def undone(self) -> int | None:
        """Up to which generation an undo takes actions back; None: all of them."""
        return _generation(self.undoes) if self.undoes else None


def _generation(key: str) -> int:
    last = key.rpartition("/")[2]
    return int(last) if last.isdecimal() else 1


class Outcome(NamedTuple):
    """An answer, and the word under which `calls` keeps it."""

    word: str
    answer: Answer


class Ledger:
    """One service's tables. `limits`: how much of a resource may be held at a time."""

    def __init__(self, file: Path, limits: dict[str, int] | None = None) -> None:
        self._limits = limits or {}
        self._db = sqlite3.connect(file, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        # A process may hold six of these; SQLite's default would be 2 MB each.
        self._db.execute("PRAGMA cache_size = -512")
        self._db.executescript(SCHEMA)
        for table, add in ADDED.items():
            columns = self._db.execute(f"PRAGMA table_info({table})")
            if "generation" not in [column["name"] for column in columns]:
                self._db.execute(add)

    def close(self) -> None:
        self._db.close()

    def act(self, call: Call, action: Action, fault: Kind | None) -> Answer | None:
        """Do the action once, however often it is called; None: done, but the answer is lost."""
        return self._perform(call, action, fault)

    def undo(self, call: Call, fault: Kind | None) -> Answer | None:
        """Undo the step's action once; before the action, only make sure that it never happens.

        One that is ordered anew after the action that the call names is none of its business.
        """
        return self._perform(call, None, fault)

    def effects(self, column: str, value: str) -> list[dict[str, Any]]:
        """Return the effects of one saga_id or business_key, oldest first."""
        where = {"saga_id": "saga_id = ?", "business_key": "business_key = ?"}[column]
        rows = self._db.execute(f"SELECT * FROM effects WHERE {where} ORDER BY id", [value])  # noqa: S608
        return [dict(row) for row in rows]

    def _perform(self, call: Call, action: Action | None, fault: Kind | None) -> Answer | None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            word, answer = self._first_or_repeated(call, action, fault)
            lost = fault is Kind.LOST
            self._db.execute(
                "INSERT INTO calls"
                " (idempotency_key, business_key, action, direction, attempt, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    call.idempotency_key,
                    call.business_key,
                    call.action,
                    call.direction,
                    call.attempt,
                    f"{word}, answer lost" if lost else word,
                ),
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return None if lost else answer

    def _first_or_repeated(self, call: Call, action: Action | None, fault: Kind | None) -> Outcome:
        if fault in (Kind.UNAVAILABLE, Kind.BROKEN):
            # Nothing is remembered: the next attempt is judged afresh.
            return Outcome(fault, failure(503, "unavailable", f"{call.action} is unavailable."))
        first = self._db.execute(
            "SELECT status, body FROM answers WHERE idempotency_key = ?", [call.idempotency_key]
        ).fetchone()
        if first:
            return Outcome("repeated", Answer(first["status"], first["body"]))
        try:
            if fault is Kind.BUSINESS:
                no_undo = ("refused", f"{call.action} was refused.")
                raise RefusedError(*(action.refusal if action else no_undo))
            outcome = self._book(call, action) if action else self._cancel(call)
        except RefusedError as refusal:
            answer = failure(refusal.status, refusal.code, refusal.message)
            outcome = Outcome(refusal.code, answer)
        self._db.execute(
            "INSERT INTO answers (idempotency_key, status, body) VALUES (?, ?, ?)",
            (call.idempotency_key, outcome.answer.status, outcome.answer.body),
        )
        return outcome

    def _book(self, call: Call, action: Action) -> Outcome:
        if self._db.execute(
            "SELECT 1 FROM tombstones WHERE saga_id = ? AND step = ?"
            " AND (generation IS NULL OR generation >= ?)",
            (call.saga_id, call.step, call.generation),
        ).fetchone():
            raise RefusedError(
                "already_undone", f"{call.step} was undone before; it came too late."
            )
        try:
            booking = action.book(call.input)
        except (TypeError, ValueError) as error:
            raise RefusedError("invalid_input", str(error), status=422) from None
        self._check_limit(booking.resource, booking.quantity)
        row = self._db.execute(
            "INSERT INTO effects"
            " (saga_id, business_key, step, generation, action, resource, quantity, amount)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                call.saga_id,
                call.business_key,
                call.step,
                call.generation,
                call.action,
                *booking,
            ),
        )
        body = {action.field: f"{action.prefix}-{row.lastrowid}", **booking._asdict()}
        return Outcome("done", Answer(200, json.dumps(body)))

    def _check_limit(self, resource: str, quantity: int) -> None:
        if resource not in self._limits:
            return
        (held,) = self._db.execute(
            "SELECT coalesce(sum(quantity), 0) FROM effects"
            " WHERE resource = ? AND status = 'active'",
            [resource],
        ).fetchone()
        left = self._limits[resource] - held
        if quantity > left:
            raise RefusedError("sold_out", f"{resource} has only {left} left.")

    def _cancel(self, call: Call) -> Outcome:
        undone = self._db.execute(
            f"UPDATE effects SET status = 'undone', undone_at = {NOW}"  # noqa: S608
            " WHERE saga_id = ? AND step = ? AND status = 'active'"
            " AND generation <= coalesce(?, generation)",
            (call.saga_id, call.step, call.undone),
        ).rowcount
        if call.undone is not None or not undone:
            # The max() of anything and null is null.
            self._db.execute(
                "INSERT INTO tombstones (saga_id, step, generation) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET generation = max(generation, excluded.generation)",
                (call.saga_id, call.step, call.undone),
            )
        word = "undone" if undone else "nothing to undo"
        return Outcome(word, Answer(200, json.dumps({"undone": undone})))


def failure(status: int, code: str, message: str) -> Answer:
    body = {"error": {"code": code, "message": message}}
    return Answer(status, json.dumps(body, ensure_ascii=False))
