"""What users, programs, operators and clocks do in a scenario, act by act.

Whatever trouble breaks off is done again, as a client does it: under the same idempotency key,
message id, request id.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from outbox import breaker
from outbox.models import Delivery
from outbox.relay import relay_once
from outbox.transports.redis_client import client
from sagas.core.verbs import Verb, steps_to_hurry
from sagas.engine.intervening import state_of
from sagas.engine.statements import read_clock, to_datetime
from sagas.exceptions import IllegalVerb
from sagas.replies import take_reply
from sagas.retention import retaining
from sagas.scheduling import firing
from sagas.scheduling.keeping import Setting, set_schedule
from sagas.signals import send_signal
from sagas.starting import Start, start_many
from sagas.verbs import Details, Order, perform, perform_many
from tests.outbox.builders import end_leases, end_waiting

if TYPE_CHECKING:
    from tests.crashes.stage import Stage

# Who is not at rest after so many looks never will be.
PATIENCE = 25
# There may be a later one, to which sagas are moved.
FIRST_VERSION = 1
# Slots of a schedule, with another one between them.
NIGHTS = (datetime(2099, 1, 1, 3, tzinfo=UTC), datetime(2099, 1, 3, 3, tzinfo=UTC))
# The stream of replies.
REPLIES = "sagadesk:crash-replies"


def play(stage: Stage, act: str) -> None:
    """Play an act of a scenario: one of those below, or a verb, some with a step: "approve:W"."""
    name, _, about = act.partition(":")
    if name in _ACTS:
        _ACTS[name](stage)
    else:
        _give(stage, Verb(name), _details(Verb(name), about))


def start(stage: Stage) -> None:
    scenario = stage.scenario
    at = None
    if scenario.starts_in_s:
        at = to_datetime(read_clock()) + timedelta(seconds=scenario.starts_in_s)
    starts = [
        Start(key, input, idempotency_key=key, at=at)
        for key, input in zip(stage.keys, scenario.inputs, strict=True)
    ]
    stage.act(lambda: start_many(scenario.name, starts, version=FIRST_VERSION))


def drive(stage: Stage) -> None:
    stage.act(stage.drive)


def work(stage: Stage) -> None:
    """Drive, reply and let time pass until nothing is left to be done."""
    for _ in range(PATIENCE):
        drive(stage)
        if stage.sends_commands:
            relay(stage)
        reply(stage)
        if not stage.world.replies and not stage.is_due_soon():
            return
        stage.let_time_pass()


def reply(stage: Stage) -> None:
    replies = list(stage.world.replies.items())
    if stage.scenario.streams:
        for _, payload in replies:
            client().xadd(REPLIES, {"data": json.dumps(payload)})
        stage.act(stage.take_replies)
    for message_id, payload in replies:
        if not stage.scenario.streams:
            stage.act(lambda payload=payload: take_reply(payload))
        stage.world.replied(message_id)


def relay(stage: Stage) -> None:
    for _ in range(PATIENCE):
        if not Delivery.objects.exists():
            return
        stage.act(relay_once)
        end_leases()
        end_waiting()
        # Nobody waits here until a route that could not be reached has rested.
        breaker._breakers.clear()


def signal(stage: Stage) -> None:
    for saga in stage.sagas():
        stage.act(lambda pk=saga.pk: send_signal(pk, "go", message_id=f"go {pk}"))


def edit(stage: Stage) -> None:
    _give(stage, Verb.RETRY, Details(edited=({"edited": True},)))


def hurry(stage: Stage) -> None:
    """Run now what waits for its time, until nothing does."""
    for _ in range(PATIENCE):
        drive(stage)
        if not any(steps_to_hurry(state_of(saga)[1]) for saga in stage.sagas()):
            return
        _give(stage, Verb.RUN_NOW, Details())


def retry_all(stage: Stage) -> None:
    """Retry all sagas at once, as they were seen."""
    seen = [(saga.pk, saga.version) for saga in stage.sagas()]
    order = Order(None, "because", stage.request_id())

    def give() -> None:
        refused = [r for r in perform_many(Verb.RETRY, seen, order) if r.outcome != "done"]
        assert not refused

    stage.act(give)


def fire(stage: Stage) -> None:
    """Have two beats fire the slots of two nights; what was missed between is made up."""
    name, plan = f"nightly {stage.mark}", f"{stage.mark}{{date}}"
    setting = Setting(name, stage.scenario.name, plan, {}, cron="0 3 * * *", make_up=1)
    row = set_schedule(setting, actor=None, reason="because").row
    for night in NIGHTS:
        for _beat in range(2):
            stage.act(lambda night=night: firing.fire(row.pk, night))


def retain(stage: Stage) -> None:
    stage.act(lambda: retaining.retain(budget_s=10.0))


_ACTS: dict[str, Callable[[Stage], None]] = {
    act.__name__: act
    for act in (start, drive, work, reply, relay, signal, edit, hurry, retry_all, fire, retain)
}


def _details(verb: Verb, about: str) -> Details:
    """Return what a verb needs; `about`: a step, several in their order, or a version."""
    if verb == Verb.MOVE:
        return Details(version=int(about))
    if verb == Verb.COMPENSATE:
        return Details(steps=tuple(about.split(",")) if about else None)
    return Details(step=about, evidence="Seen.")


def _give(stage: Stage, verb: Verb, details: Details) -> None:
    request_id = stage.request_id()

    def give() -> None:
        for saga in stage.sagas():
            # After trouble it may be too late, and the operator is told so. Who was refused
            # wrongly ends otherwise.
            with suppress(IllegalVerb):
                order = Order(None, "because", f"{request_id} {saga.pk}")
                perform(verb, saga.pk, order, details)

    stage.act(give)
