"""Runs in memory come to what the engine comes to, where sagas want the same locks."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.core.definition import Definition, OnLocked
from sagas.engine.driver import Driver
from sagas.models import JournalEntry
from sagas.signals import send_signal
from sagas.testing import simulate
from tests.builders import Script, drive_on, make_saga, store
from tests.testing.test_simulating_locks import ONE, crossing, locked


def by_engine(driver: Driver, left: Definition, right: Definition) -> list[list[str]]:
    """Play two sagas on the engine, let the second one go on first, and return their journals."""
    Script().register(left)
    sagas = [make_saga(each, key=key, input=ONE) for each, key in ((left, "1"), (right, "2"))]
    driver.drive()
    for saga in (*reversed(sagas), *sagas):
        saga.refresh_from_db()
        if saga.status == "running":
            send_signal(saga.pk, "go", message_id=f"{saga.pk}-{saga.version}")
        drive_on(driver, *sagas)
    kinds = JournalEntry.objects.order_by("seq").values_list("kind", flat=True)
    return [list(kinds.filter(saga_id=saga.pk)) for saga in sagas]


def in_memory(left: Definition, right: Definition) -> list[list[str]]:
    runs = [simulate(left, input=ONE)]
    runs += [runs[0].beside(right, input=ONE).settle()]
    for run in (*reversed(runs), *runs):
        if run.status == "running":
            run.signal("go").settle()
    # What is called here has no entry of its own on an engine that calls its own callables.
    unsaid = ("step_sent", "undo_sent")
    return [[entry.kind for entry in run.journal if entry.kind not in unsaid] for run in runs]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "definitions",
    [
        (locked(), locked()),
        (locked(on_locked=OnLocked.REFUSE), locked(on_locked=OnLocked.REFUSE)),
        (crossing("left", "a", "b"), crossing("right", "b", "a")),
        (crossing("left", "a", "b"), crossing("right", "b", "a", on_locked=OnLocked.REFUSE)),
    ],
    ids=["wait", "refuse", "deadlock", "one refuses"],
)
def test_the_engine_comes_to_the_same(
    driver: Driver, definitions: tuple[Definition, Definition]
) -> None:
    stored = [store(*d.steps, **_fields(d)) for d in dict.fromkeys(definitions)]
    left, right = stored[0], stored[-1]

    assert by_engine(driver, left, right) == in_memory(*definitions)


def _fields(definition: Definition) -> dict[str, Any]:
    return {"name": definition.name, "locks": definition.locks, "on_locked": definition.on_locked}
