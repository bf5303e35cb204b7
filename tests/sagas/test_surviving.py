"""What a worker process lives through: a database that goes, a Redis that is not there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from sagas import missing
from sagas.engine import running
from sagas.engine.running import drive_due
from sagas.models import Saga
from sagas.participants.calls import Call
from sagas.starting import Start, start_many
from tests.builders import Script, make_saga, make_step, store
from tests.outbox.fixtures import forget_processes_memory
from tests.sagas.rivals import Rival, end_lease, rival

# As Django tells it, or the hot path's own cursors.
AWAY = (OperationalError, psycopg.OperationalError)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Drivers of this test alone, and none of them left behind."""
    crew = running._Crew()
    monkeypatch.setattr(running, "_crew", crew)
    yield
    crew._thread.submit(lambda: connection.close()).result(20)
    crew._thread.shutdown()
    for seat in (crew._first, crew._second):
        if seat._driver is not None:
            seat._driver.close()


@pytest.fixture
def other() -> Iterator[Rival]:
    with rival() as other:
        yield other


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 20000)", [pid])


@pytest.mark.parametrize("action", ["doA", "doB"])
def test_a_database_that_restarts_strands_nobody(other: Rival, action: str) -> None:
    """Edge case 32."""
    definition = store(make_step("A"), make_step("B"), make_step("C"))

    def lose_the_database(call: Call) -> None:
        pid = connection.connection.info.backend_pid
        other.do(lambda: terminate(pid))

    script = Script(**{action: [lose_the_database]}).register(definition)
    saga = make_saga(definition)

    with pytest.raises(AWAY):
        drive_due()
    end_lease(saga)
    drive_due()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert script.actions.count(action) == 2


def test_a_worker_that_finds_its_connection_dead_gets_another_one(other: Rival) -> None:
    """Edge case 32."""
    definition = store(make_step("A"))
    Script().register(definition)
    saga = make_saga(definition)
    pid = connection.connection.info.backend_pid
    other.do(lambda: terminate(pid))

    with pytest.raises(AWAY):
        drive_due()
    drive_due()

    saga.refresh_from_db()
    assert saga.status == "completed"


def test_sagas_run_while_redis_is_down(settings: Any) -> None:
    """Edge case 34: beat's sweep or a direct one drives what no wake-up could."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
        forget_processes_memory()
        definition = store(make_step("A"))
        Script().register(definition)

        saga = make_saga(definition)
        drive_due()
        forget_processes_memory()

    saga.refresh_from_db()
    assert saga.status == "completed"


def test_a_full_batch_calls_a_helper_and_each_saga_runs_once(settings: Any) -> None:
    settings.SAGAS_BATCH_SIZE = 5
    definition = store(make_step("A"), make_step("B"))
    script = Script().register(definition)
    start_many(definition.name, [Start(f"order-{number}", {}) for number in range(40)])

    drive_due()

    assert set(Saga.objects.values_list("status", flat=True)) == {"completed"}
    assert len(script.calls) == 80


def test_a_worker_tells_what_it_does_not_know() -> None:
    """Edge case 26."""
    make_saga(store(make_step("A")))

    drive_due()

    assert [report.missing.detail for report in missing.reports()] == ["doA"]
