from __future__ import annotations

import logging
import socket
import time

import pytest
from django.db import transaction

from outbox import quick_redis, waking
from outbox.publishing import RELAY_TASK, publish
from outbox.waking import clear_wake, wake, wake_on_commit
from tests.outbox.fixtures import forget_processes_memory


@pytest.fixture
def hung_redis():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"redis://127.0.0.1:{port}/0"


def queued(redis_server) -> int:
    return redis_server.llen("sagadesk")


def seconds_of(call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@pytest.mark.django_db(transaction=True)
def test_many_messages_of_a_transaction_wake_the_relay_once(redis_server):
    with transaction.atomic():
        for n in range(10):
            publish("test.a", "k", n)
        assert queued(redis_server) == 0

    assert queued(redis_server) == 1


@pytest.mark.django_db
def test_a_transaction_registers_one_hook_per_task(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as hooks, transaction.atomic():
        for _ in range(3):
            wake_on_commit("outbox.relay")
            wake_on_commit("sagas.drive")

    assert len(hooks) == 2


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_wakes_nobody(redis_server):
    with transaction.atomic():
        publish("test.a", "k", {})
        transaction.set_rollback(True)

    assert queued(redis_server) == 0


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_savepoint_does_not_take_the_wake_up_with_it(redis_server):
    with transaction.atomic():
        with transaction.atomic():
            wake_on_commit(RELAY_TASK)
            transaction.set_rollback(True)
        wake_on_commit(RELAY_TASK)

    assert queued(redis_server) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("task", "setting"),
    [("outbox.relay", "OUTBOX_WAKE_ON_COMMIT"), ("sagas.drive", "SAGAS_WAKE_ON_COMMIT")],
)
def test_waking_can_be_turned_off_per_app(redis_server, settings, task, setting):
    setattr(settings, setting, False)

    wake_on_commit(task)

    assert queued(redis_server) == 0


def test_a_second_wake_up_is_not_queued_until_the_first_is_cleared(redis_server):
    assert wake(RELAY_TASK)
    assert not wake(RELAY_TASK)
    assert queued(redis_server) == 1

    clear_wake(RELAY_TASK)

    assert wake(RELAY_TASK)
    assert queued(redis_server) == 2


def test_a_lost_flag_expires_by_itself(redis_server):
    wake(RELAY_TASK)

    assert 0 < redis_server.pttl(quick_redis.key("wake:outbox.relay")) <= 1000


@pytest.mark.parametrize("kind", ["hung_redis", "closed_port"])
def test_a_dead_redis_holds_nobody_up(request, settings, caplog, kind):
    settings.REDIS_URL = request.getfixturevalue(kind)
    forget_processes_memory()

    first = seconds_of(lambda: wake(RELAY_TASK))
    again = seconds_of(lambda: [wake(RELAY_TASK) for _ in range(100)])

    assert first < 0.15
    assert again < 0.15
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_redis_is_asked_again_when_it_had_its_rest(redis_server, settings, closed_port):
    alive = settings.REDIS_URL
    settings.REDIS_URL = closed_port
    forget_processes_memory()
    wake(RELAY_TASK)
    settings.REDIS_URL = alive

    assert not wake(RELAY_TASK)
    waking._redis.resting_until = 0

    assert wake(RELAY_TASK)


@pytest.mark.django_db(transaction=True)
def test_a_commit_survives_a_dead_redis(settings, closed_port):
    settings.REDIS_URL = closed_port
    forget_processes_memory()

    with transaction.atomic():
        message_id = publish("test.a", "k", {})

    assert message_id
