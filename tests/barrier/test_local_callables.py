"""The barrier around callables of the console's own process."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from sagas.barrier import barrier
from sagas.barrier.models import HandledCall
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.participants import local
from sagas.participants.calls import BusinessFailure, Call
from tests.builders import QUICK, make_saga, make_step, store

pytestmark = pytest.mark.django_db


@barrier.action
def reserve(call: Call) -> dict[str, str]:
    Group.objects.create(name=f"reserved {call.business_key}")
    return {"reserved": call.business_key}


@barrier.compensation
def release(call: Call) -> None:
    Group.objects.get(name=f"reserved {call.business_key}").delete()


@pytest.fixture(autouse=True)
def _registered() -> None:
    local.register("Service", "doA", reserve)
    local.register("Service", "undoA", release)


def run(driver: Driver, second: Any = None) -> Saga:
    """Drive a saga whose second step does this."""
    local.register("Service", "doB", second or (lambda call: None))
    saga = make_saga(store(make_step("A"), make_step("B", retry=QUICK)))
    driver.drive()
    saga.refresh_from_db()
    return saga


def outcomes() -> list[str]:
    return list(HandledCall.objects.order_by("key").values_list("outcome", flat=True))


def test_a_callable_behind_the_barrier_performs_its_step(driver: Driver) -> None:
    assert run(driver).status == "completed"
    assert Group.objects.filter(name="reserved order-1").exists()
    assert outcomes() == ["done"]


def test_a_compensation_behind_the_barrier_undoes_its_step(driver: Driver) -> None:
    def refuse(call: Call) -> None:
        raise BusinessFailure("No.")

    assert run(driver, refuse).status == "compensated"
    assert not Group.objects.filter(name="reserved order-1").exists()
    assert outcomes() == ["undone", "done"]


def test_a_callable_that_was_undone_by_another_way_is_refused(driver: Driver) -> None:
    """Edge case 6."""
    saga = make_saga(store(make_step("A")))
    with barrier.once(f"{saga.pk}/A/undo"):
        pass

    driver.drive()

    saga.refresh_from_db()
    assert (saga.status, saga.state["cause"]["class"]) == ("compensated", "undone_before")
    assert not Group.objects.filter(name="reserved order-1").exists()
