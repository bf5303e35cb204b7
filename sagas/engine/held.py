"""A saga that a worker holds, and a change to it that waits to be recorded."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outbox.messages import NewMessage
from sagas.core.decide import advance
from sagas.core.definition import WAITS, Definition
from sagas.core.happenings import Happening
from sagas.core.journal import Entry
from sagas.core.moves import Run
from sagas.core.preparing import Prepared, Ready, prepare
from sagas.core.state import MOVING, SagaState, from_json
from sagas.engine.statements import DueRow, SagaRow, encode_state
from sagas.participants.calls import Call, call_of

if TYPE_CHECKING:
    from sagas.engine.locks import Wish


@dataclass(slots=True, eq=False)
class Held:
    """A saga in a worker's hands. `state` is what has been recorded, nothing more."""

    id: uuid.UUID
    business_key: str
    epoch: int
    definition: Definition
    input: Any
    traceparent: str
    state: SagaState
    # Ours by lease. Before that it is ours by a row lock, until the transaction ends.
    leased: bool = False
    # The calls of ours that are in the air.
    in_air: set[Run] = field(default_factory=set)
    # The callable that was found to come next when the last change was decided.
    foreseen: Run | None = None
    # It takes locks at all; and those that it is known to hold.
    locking: bool = False
    locks: frozenset[str] = frozenset()
    # The id as text, which every call and key has in it.
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = str(self.id)

    @classmethod
    def of(cls, row: DueRow, definition: Definition) -> Held:
        return cls(
            id=row.id,
            business_key=row.business_key,
            epoch=row.epoch,
            definition=definition,
            input=row.input,
            traceparent=row.traceparent,
            state=from_json(row.state, version=row.version),
            locking=definition.takes_locks,
        )

    def call(self, run: Run, *, now: float, state: SagaState | None = None) -> Call:
        """Return what the participant of this run is told, in this state or the recorded one."""
        state = self.state if state is None else state
        return call_of(self, run, self.input_of(state, run, now=now), state=state, now=now)

    def input_of(self, state: SagaState, run: Run, *, now: float) -> Any:
        """Return what the participant of this run gets as its input."""
        prepared = self.prepare(state, run, now)
        return prepared.input if isinstance(prepared, Ready) else None

    def prepare(self, state: SagaState, run: Run, now: float) -> Prepared:
        """Return the input of a run, or what happens in its place (`core.preparing`)."""
        step = self.definition.steps[run.step]
        if not (state.editions or step.when or step.input or step.type in WAITS):
            return Ready(self.input)
        saga = {"id": self.name, "business_key": self.business_key}
        return prepare(self.definition, state, run, now, (self.input, saga))


@dataclass(slots=True, eq=False)
class Change:
    """Entries for one held saga, the state after them, and what comes next.

    What comes next keeps the lease: this worker goes on with the saga as soon as the change is
    recorded, or when a call of its own lands. Else the saga is given back, due at `due`
    (database clock; None: never).
    """

    held: Held
    entries: list[Entry]
    state: SagaState
    due: float | None = None
    # Calls to be made once this is recorded.
    sends: list[Run] = field(default_factory=list)
    # A callable of this process that can be run now.
    local: Run | None = None
    # Messages that leave with it.
    commands: tuple[NewMessage, ...] = ()
    # More calls could be made, of these participants, but not yet.
    queues: tuple[str, ...] = ()
    # The locks that runs want, and whether there are some that nobody has decided about.
    wishes: dict[Run, Wish] | None = None
    wants: bool = False
    # Whoever holds the saga goes on holding it, although this change comes from somebody else.
    keeps_lease: bool = False
    # What came in, to be decided anew should the saga have changed meanwhile.
    happenings: list[Happening] = field(default_factory=list)
    # It came from a local callable that used this database: a rollback undoes it.
    touched: bool = False
    # A step of it begins to wait for somebody's decision.
    asks: bool = False
    # It has to be given back until its turn comes with this participant.
    lines_up: str = ""

    def happen(self, happening: Happening) -> None:
        """Add what a happening means."""
        entries, self.state = advance(self.held.definition, self.state, happening)
        self.entries += entries

    def look_at(self, time: float) -> None:
        """Have the saga looked at again at this time, or before."""
        self.due = time if self.due is None else min(self.due, time)

    @property
    def goes_on(self) -> bool:
        """Say whether this worker has something to do or to wait for, and keeps the saga."""
        return bool(
            self.local is not None or self.sends or self.queues or self.wants or self.held.in_air
        )

    @property
    def writes(self) -> bool:
        """Say whether there is anything to record: entries, a lease, or giving it back."""
        return bool(self.entries) or not self.goes_on or not self.held.leased

    @property
    def new_epoch(self) -> int:
        """Whoever takes a saga begins an epoch; a change from outside leaves it as it is."""
        takes = self.goes_on and not self.held.leased and not self.keeps_lease
        return self.held.epoch + 1 if takes else self.held.epoch

    def row(self) -> SagaRow:
        """Return the saga's row after the change, guarded by what was seen before it."""
        state, held = self.state, self.held
        cause = state.cause or {}
        return SagaRow(
            id=held.id,
            epoch=held.epoch,
            new_epoch=self.new_epoch,
            seen=held.state.version,
            status=state.status,
            state=encode_state(state),
            version=state.version,
            keeps_lease=self.keeps_lease or self.goes_on,
            paused=state.paused_at is not None,
            due=self.due if state.status in MOVING else None,
            failed_step=cause.get("step") or "",
            error_message=(cause.get("message") or "")[:1000],
            fingerprint=fingerprint(held.definition, cause),
        )


def fingerprint(definition: Definition, cause: dict[str, Any]) -> str:
    """Return what groups sagas that failed alike: definition, step and class of the error."""
    if not cause:
        return ""
    text = f"{definition.name}\n{cause.get('step')}\n{cause.get('class')}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
