"""Steps that are sagas of their own."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from sagas.core.definition import OnFailure, Step, StepType
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import Definition, Saga
from sagas.verbs import Order, perform
from tests.builders import Script, drive_on, make_definition, make_saga, make_step, no, store

pytestmark = pytest.mark.django_db


def sub_saga(name: str = "Ship", definition: str = "shipping", **overrides: Any) -> Step:
    return Step(name, definition, "start", "compensate", type=StepType.SAGA, **overrides)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def family(script: Script) -> Any:
    """Return a function that starts an order of A, a shipping saga of P and Q, and B."""

    def start(
        *,
        child: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        **overrides: Any,
    ) -> Saga:
        shipping = store(make_step("P"), make_step("Q"), name="shipping", **(child or {}))
        steps = make_step("A"), sub_saga(**overrides), make_step("B")
        order = store(*steps, name="order", **(parent or {}))
        script.register(shipping).register(order)
        return make_saga(order)

    return start


def rest(driver: Driver, *sagas: Saga) -> None:
    """Drive until nothing moves any more."""
    for _ in range(12):
        drive_on(driver, *Saga.objects.filter(due_at__isnull=False))
    for saga in sagas:
        saga.refresh_from_db()


def child_of(saga: Saga, step: int = 1) -> Saga:
    return Saga.objects.get(pk=saga.state["steps"][step]["child"])


def order(reason: str = "because") -> Order:
    return Order(None, reason, str(uuid.uuid4()))


def test_a_step_starts_a_saga_and_waits_for_its_end(
    driver: Driver, script: Script, family: Any
) -> None:
    saga = family(input={"parcel": "input.parcel"})

    rest(driver, saga)

    assert saga.status == "completed"
    assert script.actions == ["doA", "doP", "doQ", "doB"]
    assert child_of(saga).state["parent"] == {"saga": str(saga.pk), "step": "Ship"}
    assert saga.state["steps"][1]["output"] == {"P": {"did": "doP"}, "Q": {"did": "doQ"}}


def test_a_child_that_is_done_is_compensated_when_its_parent_fails(
    driver: Driver, script: Script, family: Any
) -> None:
    """Edge case 28."""
    script.script["doB"] = [no("B said no")]
    saga = family()

    rest(driver, saga)

    assert saga.status == "compensated"
    assert child_of(saga).status == "compensated"
    assert script.actions == ["doA", "doP", "doQ", "doB", "undoQ", "undoP", "undoA"]


def test_a_child_that_fails_fails_its_parent(driver: Driver, script: Script, family: Any) -> None:
    script.script["doQ"] = [no("Q said no")]
    saga = family()

    rest(driver, saga)

    assert saga.status == "compensated"
    assert script.actions == ["doA", "doP", "doQ", "undoP", "undoA"]
    assert "Q said no" in saga.error_message


def test_a_child_that_stops_holds_its_parent_until_somebody_mends_it(
    driver: Driver, script: Script, family: Any
) -> None:
    script.script["doQ"] = [no("Q said no")]
    saga = family(child={"on_failure": OnFailure.PARK})
    rest(driver, saga)
    assert (saga.status, child_of(saga).status) == ("running", "failed")

    perform(Verb.RETRY, child_of(saga).pk, order())
    rest(driver, saga)

    assert saga.status == "completed"


def test_cancelling_the_parent_cancels_the_child(
    driver: Driver, script: Script, family: Any
) -> None:
    script.script["doQ"] = [no("Q said no")]
    saga = family(child={"on_failure": OnFailure.PARK})
    rest(driver, saga)

    perform(Verb.CANCEL, saga.pk, order())
    rest(driver, saga)

    assert (saga.status, child_of(saga).status) == ("compensated", "compensated")
    assert script.actions == ["doA", "doP", "doQ", "undoP", "undoA"]


def test_cancelling_a_parent_stops_a_child_that_is_due_in_the_same_batch(
    driver: Driver, script: Script, family: Any
) -> None:
    """Its order changed the child under the batch, which then began anew for ever."""
    script.script["doQ"] = [no("Q said no")]
    saga = family(child={"on_failure": OnFailure.PARK})
    rest(driver, saga)
    other = make_saga(store(make_step("O"), name="other"))
    script.register(make_definition(make_step("O")))

    perform(Verb.RETRY, child_of(saga).pk, order())
    perform(Verb.CANCEL, saga.pk, order())
    rest(driver, saga, other)

    assert (saga.status, child_of(saga).status) == ("compensated", "compensated")
    assert other.status == "completed"
    assert sorted(script.actions[3:]) == ["doO", "undoA", "undoP"]


@pytest.mark.parametrize("retried", [False, True])
def test_cancelling_a_parent_ends_a_child_that_has_done_nothing(
    driver: Driver, script: Script, family: Any, retried: bool
) -> None:
    script.script["doP"] = [no("P said no"), no("P said no")]
    saga = family(child={"on_failure": OnFailure.PARK})
    rest(driver, saga)

    if retried:
        perform(Verb.RETRY, child_of(saga).pk, order())
    perform(Verb.CANCEL, saga.pk, order())
    rest(driver, saga)

    assert (saga.status, child_of(saga).status) == ("compensated", "compensated")


def test_an_undo_that_fails_in_the_child_holds_the_parent_s_undo(
    driver: Driver, script: Script, family: Any
) -> None:
    script.script["doB"] = [no("B said no")]
    script.script["undoP"] = [no("P cannot be undone")]
    saga = family()
    rest(driver, saga)
    assert (saga.status, child_of(saga).status) == ("compensating", "failed")

    perform(Verb.RETRY, child_of(saga).pk, order())
    rest(driver, saga)

    assert (saga.status, child_of(saga).status) == ("compensated", "compensated")
    assert script.actions[-1] == "undoA"


def test_an_abandoned_child_leaves_its_parent_s_undo_to_an_operator(
    driver: Driver, script: Script, family: Any
) -> None:
    script.script["doB"] = [no("B said no")]
    script.script["undoP"] = [no("P cannot be undone")]
    saga = family()
    rest(driver, saga)

    perform(Verb.ABANDON, child_of(saga).pk, order())
    rest(driver, saga)

    assert saga.status == "failed"
    assert saga.state["steps"][1]["status"] == "compensation_failed"
    assert saga.state["steps"][0]["status"] == "compensated"


def test_a_child_that_takes_too_long_is_told_to_stop(
    driver: Driver, script: Script, family: Any
) -> None:
    script.script["doQ"] = [no("Q said no")]
    saga = family(child={"on_failure": OnFailure.PARK}, within_s=8.0)

    rest(driver, saga)

    assert (saga.status, child_of(saga).status) == ("compensated", "compensated")
    assert "did not end within 8 s" in saga.error_message


def test_a_child_that_takes_too_long_may_have_done_nothing(
    driver: Driver, script: Script, family: Any
) -> None:
    script.script["doP"] = [no("P said no")]
    saga = family(child={"on_failure": OnFailure.PARK}, within_s=8.0)

    rest(driver, saga)

    assert (saga.status, child_of(saga).status) == ("compensated", "compensated")
    assert "did not end within 8 s" in saga.error_message


def test_a_definition_that_is_not_there_fails_the_step(driver: Driver, script: Script) -> None:
    store(name="nowhere")
    definition = store(make_step("A"), sub_saga(definition="nowhere"))
    Definition.objects.filter(name="nowhere").delete()
    script.register(definition)
    saga = make_saga(definition)

    rest(driver, saga)

    assert saga.status == "compensated"
    assert "There is no definition nowhere" in saga.error_message


def test_many_children_of_one_batch_tell_their_parents(driver: Driver, script: Script) -> None:
    store(make_step("P"), name="shipping")
    definition = store(
        make_step("A"),
        *(sub_saga(f"Ship{number}", after=(0,)) for number in range(5)),
        make_step("B", after=(1, 2, 3, 4, 5)),
    )
    script.register(definition)
    Script(doP=[{"n": n} for n in range(50)]).register(store(make_step("P"), name="shipping"))
    sagas = [make_saga(definition, key=f"order-{number}") for number in range(10)]

    rest(driver, *sagas)

    assert {saga.status for saga in sagas} == {"completed"}
    assert Saga.objects.filter(definition__name="shipping", status="completed").count() == 50


def test_cancelling_a_parent_stops_a_child_that_is_due_for_the_first_time(
    driver: Driver, script: Script, family: Any
) -> None:
    saga = family()
    drive_on(driver, saga)
    saga.refresh_from_db()
    assert child_of(saga).due_at is not None

    perform(Verb.CANCEL, saga.pk, order())
    rest(driver, saga)

    assert (saga.status, child_of(saga).status) == ("compensated", "compensated")


@pytest.mark.parametrize(
    ("verb", "ends"), [(Verb.RETRY, "completed"), (Verb.COMPENSATE, "compensated")]
)
def test_a_step_that_is_retried_finds_that_its_child_has_ended_meanwhile(
    driver: Driver, script: Script, family: Any, verb: Verb, ends: str
) -> None:
    """It asks for the same child, which has nobody to tell any more."""
    script.script["doQ"] = [no("Q said no")]
    parks = {"on_failure": OnFailure.PARK}
    saga = family(child=parks, parent=parks, within_s=8.0)
    rest(driver, saga)
    assert (saga.status, child_of(saga).status) == ("failed", "failed")
    perform(verb, child_of(saga).pk, order())
    rest(driver, saga)
    assert (saga.status, child_of(saga).status) == ("failed", ends)

    perform(Verb.RETRY, saga.pk, order())
    rest(driver, saga)

    step = saga.state["steps"][1]
    if ends == "completed":
        assert saga.status == "completed"
        assert step["output"] == {"P": {"did": "doP"}, "Q": {"did": "doQ"}}
    else:
        assert (saga.status, step["error"]["class"]) == ("failed", "ChildCompensated")
        assert saga.state["steps"][0]["status"] == "succeeded"


def test_a_child_that_goes_on_is_waited_for_again_after_a_retry(
    driver: Driver, script: Script, family: Any
) -> None:
    script.script["doQ"] = [no("Q said no")]
    parks = {"on_failure": OnFailure.PARK}
    saga = family(child=parks, parent=parks, within_s=8.0)
    rest(driver, saga)
    child = child_of(saga)

    perform(Verb.RETRY, saga.pk, order())
    drive_on(driver, saga)
    perform(Verb.RETRY, child.pk, order())
    rest(driver, saga)

    assert (saga.status, child_of(saga).pk) == ("completed", child.pk)
    assert script.actions.count("doP") == 1
