"""Sagas that ended long ago."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection

from sagas.core.definition import Step
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.starting import start
from tests.builders import Script, make_step, no, store

DAY_MS = 86_400_000
_CHILDREN = ("sagas_sagastart", "sagas_journalentry", "sagas_verbrequest")


def make_ended(
    status: str = "completed", *, days: float = 100, steps: tuple[Step, ...] = (), **details: Any
) -> Saga:
    """Return a saga that a driver has brought to its end, as if that had been days ago."""
    fields = {"definition": "test", "input": {"amount": 3}, "business_key": "order-1"} | details
    definition = store(*(steps or (make_step("A"), make_step("B"))), name=fields["definition"])
    outcomes = {"doB": [no()]} if status == "compensated" else {}
    Script(**outcomes).register(definition)
    started = start(**fields)
    driver = Driver()
    driver.drive()
    driver.close()
    saga = Saga.objects.get(pk=started.saga_id)
    assert saga.status == status
    return let_days_pass(saga, days)


def let_days_pass(saga: Saga, days: float) -> Saga:
    """Move start and end of a saga into the past; its id, which tells the time, becomes older."""
    older = UUID(int=saga.pk.int - (int(days * DAY_MS) << 80))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE sagas_saga SET id = %s, created_at = created_at - %s * interval '1 day',"
            " updated_at = updated_at - %s * interval '1 day' WHERE id = %s",
            [older, days, days, saga.pk],
        )
        for table in _CHILDREN:
            cursor.execute(f"UPDATE {table} SET saga_id = %s WHERE saga_id = %s", [older, saga.pk])
    return Saga.objects.get(pk=older)
