"""A lock that is given back while somebody begins to wait for it: in whatever order they go on."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from sagas import locks as operators
from sagas.core.definition import OnFailure
from sagas.core.verbs import Verb
from sagas.engine import locks
from sagas.engine.driver import Driver
from sagas.locks import release_lock
from sagas.models import LockWait, Saga, SagaLock
from sagas.signals import send_signal
from sagas.verbs import Order, perform
from tests.builders import Script, let_pass, no
from tests.sagas.locking import begin, locked
from tests.sagas.rivals import Stepper, rival

pytestmark = pytest.mark.django_db(transaction=True)

# Both do three things: work up to the commit, commit, and what comes after it.
ORDERS = sorted(set(itertools.permutations("GGGWWW")))


def drive_once() -> None:
    driver = Driver(batch_size=5)
    driver.drive()
    driver.close()


def abandon(holder: Saga) -> None:
    perform(Verb.ABANDON, holder.pk, Order(None, "because", str(uuid.uuid4())))


def take_away(holder: Saga) -> None:
    release_lock(SagaLock.objects.get(saga=holder).name, holder.pk, actor=None, reason="because")


def failed_holder(number: int) -> Saga:
    """Return a saga that has failed and has kept its lock."""
    definition = locked(on_failure=OnFailure.PARK)
    Script(doB=[no()]).register(definition)
    holder = begin(definition, number)
    drive_once()
    send_signal(holder.pk, "go", message_id=str(uuid.uuid4()))
    drive_once()
    holder.refresh_from_db()
    assert holder.status == "failed"
    return holder


def begin_to_wait(number: int) -> Saga:
    """Return a saga that wants the lock and has not asked for it yet."""
    return begin(locked(on_failure=OnFailure.PARK), number)


def look_again(number: int) -> Saga:
    """Return one that has waited for it for a while, and is to be looked at again."""
    waiter = begin_to_wait(number)
    drive_once()
    let_pass(waiter, 60)
    return waiter


@contextmanager
def stepping(
    patch: pytest.MonkeyPatch, give_back: Callable[[], None]
) -> Iterator[tuple[Stepper, Stepper]]:
    """Give who gives a lock back and who wants it; both stop before and after their commit."""
    hand_over, settle, wake_next = locks.hand_over, locks.settle, locks.wake_next
    with rival() as one, rival() as two:
        giver, taker = Stepper(one, give_back), Stepper(two, drive_once)
        before_commit = {"hand_over": giver, "settle": taker}

        def stop_after(name: str, intact: Any) -> Any:
            def wrapper(*args: Any, **options: Any) -> Any:
                came_of_it = intact(*args, **options)
                if name in before_commit and before_commit[name].is_mine:
                    before_commit.pop(name).pause()
                return came_of_it

            return wrapper

        def stop_before(*args: Any) -> None:
            (giver if giver.is_mine else taker).pause()
            wake_next(*args)

        patch.setattr(locks, "hand_over", stop_after("hand_over", hand_over))
        patch.setattr(operators, "hand_over", locks.hand_over)
        patch.setattr(locks, "settle", stop_after("settle", settle))
        patch.setattr(locks, "wake_next", stop_before)
        yield giver, taker
        giver.finish()
        taker.finish()


@pytest.mark.parametrize("give_back", [abandon, take_away])
@pytest.mark.parametrize("wait", [begin_to_wait, look_again])
def test_whoever_waits_gets_the_lock_at_once_in_whatever_order_both_go_on(
    monkeypatch: pytest.MonkeyPatch,
    give_back: Callable[[Saga], None],
    wait: Callable[[int], Saga],
) -> None:
    for number, turns in enumerate(ORDERS):
        holder = failed_holder(number)
        waiter = wait(number)
        with (
            monkeypatch.context() as patch,
            stepping(patch, partial(give_back, holder)) as (giver, taker),
        ):
            for turn in turns:
                (giver if turn == "G" else taker).step()

        drive_once()

        lock = SagaLock.objects.get(name=f"order:{number}")
        assert lock.saga_id == waiter.pk, "".join(turns)
        assert not LockWait.objects.filter(saga=waiter).exists()
