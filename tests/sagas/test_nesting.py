"""Definitions that start others: those must be stored, and none may come back to itself."""

from __future__ import annotations

import pytest

from sagas.core.definition import Step, StepType
from sagas.definitions import DefinitionError
from sagas.models import Definition
from tests.builders import make_step, store

pytestmark = pytest.mark.django_db


def start(name: str) -> Step:
    return Step(f"Start{name}", name, "start", compensation="compensate", type=StepType.SAGA)


def refusal(*steps: Step, name: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        store(*steps, name=name)
    return str(caught.value)


def test_a_saga_may_start_stored_ones_and_several_the_same() -> None:
    store(name="Parcel")
    store(start("Parcel"), name="Shipping")

    store(start("Parcel"), start("Shipping"), name="Order")

    assert Definition.objects.count() == 3


def test_a_saga_that_is_not_stored_cannot_be_started() -> None:
    store(name="Parcel")

    assert refusal(make_step(), start("Parcels"), name="Order") == (
        'Order: steps[1].participant: there is no stored definition "Parcels"; store it first; '
        "did you mean Parcel?"
    )
    assert not Definition.objects.filter(name="Order").exists()


def test_a_circle_is_refused_when_it_is_closed() -> None:
    store(name="Parcel")
    store(start("Parcel"), name="Shipping")
    store(start("Shipping"), name="Order")

    assert refusal(start("Order"), name="Parcel") == (
        "Parcel: steps[0].participant: would come back to this saga without end: "
        "Parcel → Order → Shipping → Parcel"
    )
    assert Definition.objects.get(name="Parcel").version == 1


def test_only_the_newest_versions_count() -> None:
    store(name="Parcel")
    store(start("Parcel"), name="Shipping")
    store(make_step(), name="Shipping")

    store(start("Shipping"), name="Parcel")

    assert Definition.objects.filter(name="Parcel").count() == 2


def test_all_faults_are_reported_at_once() -> None:
    assert refusal(start("A"), start("B"), name="Order").splitlines() == [
        'Order: steps[0].participant: there is no stored definition "A"; store it first',
        'Order: steps[1].participant: there is no stored definition "B"; store it first',
    ]


def test_what_is_stored_already_is_not_looked_at_again() -> None:
    store(name="Parcel")
    store(start("Parcel"), name="Order")
    Definition.objects.filter(name="Parcel").delete()

    store(start("Parcel"), name="Order")

    assert Definition.objects.get().name == "Order"
