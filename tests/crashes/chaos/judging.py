"""What must hold after the chaos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from django.db.models.functions import Now

from config.embedded.console import say
from dlq.models import DeadLetter
from outbox.models import Delivery
from sagas.checking import check_sagas, stray_locks, stuck_sagas
from sagas.core.state import StepStatus
from sagas.engine.intervening import state_of
from sagas.management.commands.check_effects import compare
from sagas.models import JournalEntry, LockWait, Saga, SagaLock
from tests.crashes.chaos import effects, records
from tests.crashes.chaos.records import Promises

SHOWN = 20
# What an operator is asked about.
STOPPED_BY = (StepStatus.FAILED, StepStatus.UNKNOWN, StepStatus.COMPENSATION_FAILED)


def judge_all(promises: Promises, data: Path) -> Iterator[str]:
    """Give all that is wrong, given the records and the folder of the services' tables."""
    sagas = list(Saga.objects.select_related("definition").order_by("pk"))
    yield from records.broken_promises(promises)
    yield from effects.doubled_keys()
    yield from effects.contradictions(sagas, data)
    yield from _violations(data)
    yield from _unrest(sagas)
    yield from _left_behind()
    findings = (*check_sagas(), *stuck_sagas(), *stray_locks())
    yield from (f"{f.business_key}: {f.kind}: {f.message}" for f in findings)


def tell(promises: Promises) -> None:
    """Say how much was done, so that nobody takes silence for success."""
    statuses = Counter(Saga.objects.values_list("status", flat=True))
    orders = Counter(order["order"] for order in promises.orders if order["done"])
    say(f"{len(promises.starts):,} starts acknowledged; {dict(statuses)}")
    say(f"{orders.total():,} orders acknowledged; {dict(orders)}")


def idle(promises: Promises) -> Iterator[str]:
    """Give what has not been tried: a run in which little happens proves little."""
    ended = set(Saga.objects.values_list("definition__name", "status").distinct())
    for name in {name for name, _ in ended}:
        if (name, "completed") not in ended:
            yield f"no saga of {name} is completed"
    if not any(status == "compensated" for _, status in ended):
        yield "no saga is compensated"
    if not any(order["done"] for order in promises.orders):
        yield "no order was acknowledged"


def _violations(data: Path) -> Iterator[str]:
    """Give what `check_effects` finds; whoever is rewound does the same things again."""
    rewound = JournalEntry.objects.filter(kind="rewound").values_list("saga_id", flat=True)
    known = {str(pk) for pk in rewound}
    for finding in compare(data).violations:
        if finding.saga_id not in known:
            yield f"{finding.business_key} {finding.what}"


def _unrest(sagas: list[Saga]) -> Iterator[str]:
    """Give sagas that move, that nobody holds, or that have stopped without a reason."""
    overdue = set(Saga.objects.filter(due_at__lt=Now()).values_list("pk", flat=True))
    for saga in sagas:
        if saga.status in ("running", "compensating"):
            held = "nobody holds it" if saga.pk in overdue else f"due at {saga.due_at}"
            yield f"{saga.business_key} is still {saga.status}: {held}"
        elif saga.status == "failed":
            _, state = state_of(saga)
            if not state.cause or not any(step.status in STOPPED_BY for step in state.steps):
                yield f"{saga.business_key} has stopped, and no step says why"


def _left_behind() -> Iterator[str]:
    for delivery in Delivery.objects.select_related("message")[:SHOWN]:
        yield f"a message is left in the outbox: {delivery.message.type} {delivery.status}"
    for lock in SagaLock.objects.exclude(saga__status="failed")[:SHOWN]:
        yield f"lock {lock.name} is left with {lock.saga_id}"
    for wait in LockWait.objects.all()[:SHOWN]:
        yield f"{wait.saga_id} still waits for lock {wait.name}"
    # A reply that was asked for twice may come when the saga has ended.
    unforeseen = DeadLetter.objects.exclude(reason=DeadLetter.Reason.FINISHED_SAGA)
    for letter in unforeseen[:SHOWN]:
        yield f"a dead letter: {letter.destination} {letter.error_class} {letter.error_message}"
