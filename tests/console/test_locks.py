"""The list of locks, the saga's own, and taking one away by hand."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import Saga, SagaLock
from sagas.signals import send_signal
from sagas.verbs import Order, perform
from tests.builders import Script, drive_on, journal_of
from tests.console.builders import make_operator, order, words
from tests.sagas.locking import begin, locked

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue(driver: Driver) -> list[Saga]:
    """Return three sagas of which the first one holds a lock that the others want."""
    definition = locked()
    Script().register(definition)
    sagas = [begin(definition) for _ in range(3)]
    driver.drive()
    return sagas


def pause(saga: Saga) -> None:
    perform(Verb.PAUSE, saga.pk, Order(None, "because", str(uuid4())))


def path_of(saga: Saga) -> str:
    return f"/locks/{SagaLock.objects.get().pk}/release/{saga.pk}/"


def holder() -> object:
    return SagaLock.objects.get().saga_id


def test_the_list_says_who_holds_what_and_who_waits(admin: Client, queue: list[Saga]) -> None:
    page = admin.get("/locks/")

    [row] = page.context["locks"]
    assert (row.lock.name, row.holder.pk) == ("order:1", queue[0].pk)
    assert [waiter.saga.pk for waiter in row.waiters] == [saga.pk for saga in queue[1:]]
    assert "order:1" in words(page)


@pytest.mark.parametrize(("words", "found"), [("order:", 1), ("stock", 0), ("saga", 1)])
def test_the_list_is_searched_by_name_or_saga(
    admin: Client, queue: list[Saga], words: str, found: int
) -> None:
    query = str(queue[0].pk) if words == "saga" else words

    assert len(admin.get("/locks/", {"q": query}).context["locks"]) == found


def test_a_saga_shows_its_locks_and_who_waits_for_them(admin: Client, queue: list[Saga]) -> None:
    shown = words(admin.get(f"/sagas/{queue[0].pk}/"))

    assert "order:1" in shown
    assert "Waiting:" in shown


def test_a_saga_without_locks_shows_none(admin: Client) -> None:
    definition = locked(locks=())
    saga = begin(definition)

    assert 'id="locks"' not in admin.get(f"/sagas/{saga.pk}/").content.decode()


def test_releasing_gives_the_lock_to_the_next_one(
    admin: Client, driver: Driver, queue: list[Saga]
) -> None:
    pause(queue[0])

    admin.post(path_of(queue[0]), order(reason="the courier is stuck"))

    assert holder() == queue[1].pk
    assert journal_of(queue[0])[-1] == "lock_released"
    assert "the courier is stuck [order:1]" in LogEntry.objects.get().change_message
    drive_on(driver, queue[1])
    assert journal_of(queue[1])[-1] == "step_waiting Wait"


def test_a_saga_that_lost_its_lock_takes_it_again_before_its_next_step(
    admin: Client, driver: Driver, queue: list[Saga]
) -> None:
    pause(queue[0])
    admin.post(path_of(queue[0]), order())

    perform(Verb.RESUME, queue[0].pk, Order(None, "because", "1"))
    drive_on(driver, queue[0])
    send_signal(queue[0].pk, "go", message_id="1")
    drive_on(driver, queue[0])

    assert journal_of(queue[0])[-1] == "lock_awaited B"


def test_a_repeated_release_does_nothing_to_the_next_holder(
    admin: Client, queue: list[Saga]
) -> None:
    pause(queue[0])
    path = path_of(queue[0])
    admin.post(path, order())

    again = admin.post(path, order())

    assert again.status_code == 409
    assert "It does not hold this lock any more." in words(again)
    assert holder() == queue[1].pk


def test_a_saga_that_moves_keeps_its_lock(admin: Client, queue: list[Saga]) -> None:
    refused = admin.post(path_of(queue[0]), order())

    assert refused.status_code == 409
    assert "Only a saga that is paused or has failed can lose a lock" in words(refused)
    assert holder() == queue[0].pk


def test_a_release_needs_a_reason(admin: Client, queue: list[Saga]) -> None:
    pause(queue[0])

    assert admin.post(path_of(queue[0]), order(reason="")).status_code == 400
    assert holder() == queue[0].pk


def test_a_lock_that_is_not_there_is_not_found(admin: Client, queue: list[Saga]) -> None:
    assert admin.get(f"/locks/0/release/{queue[0].pk}/").status_code == 404


def test_looking_and_releasing_have_permissions_of_their_own(queue: list[Saga]) -> None:
    nobody, reader = make_operator(name="nobody"), make_operator("sagas.view_sagalock")
    pause(queue[0])

    assert nobody.get("/locks/").status_code == 403
    assert reader.get("/locks/").status_code == 200
    assert b"/release/" not in reader.get("/locks/").content
    assert reader.post(path_of(queue[0]), order()).status_code == 403
    assert holder() == queue[0].pk


def test_the_list_asks_as_often_for_many_locks_as_for_one(
    admin: Client, driver: Driver, django_assert_max_num_queries: Any
) -> None:
    definition = locked()
    Script().register(definition)
    for number in range(20):
        begin(definition, number)
    driver.drive()

    with django_assert_max_num_queries(20):
        admin.get("/locks/")
