"""One saga that the engine cannot go on with stops no other."""

import pytest
from django.db.models.functions import Now

from sagas.engine import held as held_module
from sagas.engine.driver import Driver
from sagas.models import Saga
from tests.builders import Script, make_saga, make_step, store

pytestmark = pytest.mark.django_db


def test_a_saga_that_breaks_its_batch_is_set_aside(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = store(make_step("A"), make_step("B"))
    Script().register(definition)
    for number in range(5):
        make_saga(definition, key=f"order-{number}")
    decide = held_module.advance

    def break_one(definition, state, happening):  # type: ignore[no-untyped-def]
        entries, after = decide(definition, state, happening)
        broken = entries[0].data.get("output") == {"break": True}
        if broken:
            raise ZeroDivisionError("nobody thought of this")
        return entries, after

    monkeypatch.setattr(held_module, "advance", break_one)
    Script(
        doA=[lambda call: {"break": call.business_key == "order-2"} for _ in range(20)]
    ).register(definition)

    driver.drive()

    statuses = dict(Saga.objects.values_list("business_key", "status"))
    assert [statuses[f"order-{n}"] for n in (0, 1, 3, 4)] == ["completed"] * 4
    broken = Saga.objects.get(business_key="order-2")
    assert broken.status == "running"
    assert broken.error_message == "nobody thought of this"
    assert Saga.objects.filter(pk=broken.pk, due_at__gt=Now()).exists()


def test_a_saga_that_cannot_be_read_is_set_aside(driver: Driver) -> None:
    definition = store(make_step("A"))
    Script().register(definition)
    unreadable, fine = (make_saga(definition, key=f"order-{number}") for number in range(2))
    state = unreadable.state
    Saga.objects.filter(pk=unreadable.pk).update(state={"status": "no such status", "steps": []})

    driver.drive()

    fine.refresh_from_db()
    unreadable.refresh_from_db()
    assert fine.status == "completed"
    assert "no such status" in unreadable.error_message
    Saga.objects.filter(pk=unreadable.pk).update(state=state)
