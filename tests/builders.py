"""Builders: defaults plus overrides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import F

from sagas import catalogue
from sagas.core.definition import Definition, RetryPolicy, Step
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Participant, Saga
from sagas.participants import local
from sagas.participants.calls import BusinessFailure, Call
from sagas.starting import start

# Retries without waiting long; the engine's floor still holds.
QUICK = RetryPolicy(attempts=3, initial_s=0.0, cap_s=0.0, jitter=False)


def make_step(name: str = "A", **overrides: Any) -> Step:
    fields: dict[str, Any] = {
        "participant": "Service",
        "action": f"do{name}",
        "compensation": f"undo{name}",
        "undo_retry": QUICK,
    }
    return Step(name=name, **(fields | overrides))


def make_definition(*steps: Step, name: str = "test", **overrides: Any) -> Definition:
    return Definition(name=name, steps=steps or (make_step("A"), make_step("B")), **overrides)


def store(*steps: Step, name: str = "test", **overrides: Any) -> Definition:
    """Store a definition and return it."""
    definition = make_definition(*steps, name=name, **overrides)
    catalogue.store_definition(definition)
    return definition


class Script:
    """A local participant that plays a script and keeps what it was told.

    `script[action]` is a list of outcomes, used up one by one: an output, an exception to raise,
    or a callable. Without one it succeeds.
    """

    def __init__(self, participant: str = "Service", **script: list[Any]) -> None:
        self.participant = participant
        self.script = script
        self.calls: list[Call] = []

    def register(self, definition: Definition) -> Script:
        for step in definition.steps:
            for action in (step.action, step.compensation):
                if step.participant == self.participant and action:
                    local.register(self.participant, action, self._play)
        return self

    def _play(self, call: Call) -> Any:
        self.calls.append(call)
        outcomes = self.script.get(call.action)
        outcome = outcomes.pop(0) if outcomes else {"did": call.action}
        if isinstance(outcome, Exception):
            raise outcome
        return outcome(call) if isinstance(outcome, Callable) else outcome  # type: ignore[arg-type]

    @property
    def actions(self) -> list[str]:
        return [call.action for call in self.calls]


def no(message: str = "no") -> BusinessFailure:
    return BusinessFailure(message)


def make_saga(definition: Definition, *, key: str = "order-1", input: Any = None) -> Saga:
    """Start a saga of a stored definition."""
    started = start(definition.name, input if input is not None else {}, business_key=key)
    return Saga.objects.get(pk=started.saga_id)


def make_participant(name: str = "Service", **overrides: Any) -> Participant:
    return Participant.objects.create(
        **({"name": name, "transport": Participant.Transport.LOCAL} | overrides)
    )


def journal_of(saga: Saga) -> list[str]:
    """Return a saga's journal as "kind Step", without its start."""
    rows = JournalEntry.objects.filter(saga_id=saga.pk, seq__gt=1).order_by("seq")
    return [f"{row.kind} {row.step}".strip() for row in rows]


def drive_on(driver: Driver, *sagas: Saga) -> None:
    """Drive a second later: what a verb makes due now, the present transaction takes for future."""
    for saga in sagas:
        let_pass(saga, 1)
    driver.drive()


def let_pass(saga: Saga, seconds: float) -> None:
    """Move everything that a saga knows of time into the past, as if this time had gone by."""

    def earlier(at: float | None) -> float | None:
        return None if at is None else round(at - seconds, 6)

    saga.refresh_from_db()
    state = saga.state
    for holder, names in [(state, ("deadline", "paused_at", "starts_at"))] + [
        (step, ("wake_at", "failing_since")) for step in state["steps"]
    ]:
        holder.update({name: earlier(holder[name]) for name in names if name in holder})
    for blocked in (step["blocked"] for step in state["steps"] if "blocked" in step):
        blocked["since"] = earlier(blocked["since"])
    entries = JournalEntry.objects.filter(saga_id=saga.pk)
    entries.update(at=F("at") - timedelta(seconds=seconds))
    for name in ("wake_at", "starts_at"):
        for row in entries.filter(data__has_key=name):
            data = row.data | {name: earlier(row.data[name])}
            entries.filter(seq=row.seq).update(data=data)
    due_at = saga.due_at and saga.due_at - timedelta(seconds=seconds)
    Saga.objects.filter(pk=saga.pk).update(state=state, due_at=due_at)
