"""manage.py saga retry, skip, rewind …: what operators type."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from sagas.core.definition import Step, StepType
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Saga
from tests.api.builders import make_failed_saga
from tests.builders import Script, make_saga, make_step, store

pytestmark = pytest.mark.django_db
WHY = ("--reason", "because")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("saga", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def data_of(kind: str) -> dict[str, Any]:
    data: dict[str, Any] = JournalEntry.objects.get(kind=kind).data
    return data


@pytest.fixture
def failed(driver: Driver) -> Saga:
    """A saga that has done A and failed at B; its business key is order-1."""
    return make_failed_saga(driver)[0]


def begin(driver: Driver, step: Step) -> Saga:
    definition = store(make_step("A"), step)
    Script().register(definition)
    saga = make_saga(definition)
    driver.drive()
    return saga


@pytest.mark.parametrize(
    ("arguments", "kind", "data"),
    [
        (("skip", "--step", "B", "--output", '{"n": 7}'), "step_skipped", {"output": {"n": 7}}),
        (("rewind", "--step", "A"), "rewind_ordered", {"to": 0}),
        (("compensate", "--steps", "A"), "compensation_ordered", {"steps": [0]}),
        (("abandon",), "abandoned", {"standing": ["A"]}),
        (("retry", "--input", '{"amount": 4}'), "retried", {"input": {"amount": 4}}),
        (("mark-done", "--step", "A", "--evidence", "t7"), "marked_done", {"evidence": "t7"}),
    ],
)
def test_a_verb_takes_its_arguments(
    failed: Saga, arguments: tuple[str, ...], kind: str, data: dict[str, Any]
) -> None:
    verb, *rest = arguments

    assert "order-1: " in run(verb, "order-1", *WHY, *rest)

    assert data.items() <= data_of(kind).items()


def test_a_saga_is_moved(failed: Saga) -> None:
    store(*map(make_step, "ABC"))

    run("move", "order-1", *WHY, "--version", "2")

    failed.refresh_from_db()
    assert failed.definition.version == 2


def test_an_input_may_be_in_a_file(failed: Saga, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"amount": 5}')

    run("retry", "order-1", *WHY, "--input", str(file))

    assert data_of("retried")["input"] == {"amount": 5}


def test_an_input_that_is_no_json_is_refused(failed: Saga) -> None:
    with pytest.raises(CommandError, match="neither JSON nor a file"):
        run("retry", "order-1", *WHY, "--input", "{amount")


def test_a_dry_run_says_what_would_happen_and_does_nothing(failed: Saga) -> None:
    told = run("rewind", "order-1", *WHY, "--step", "A", "--dry-run")

    assert told.splitlines()[1:] == [
        "  1. ↩ A Service.undoA",
        "  2. → A Service.doA (attempt 2)",
        "  3. → B Service.doB (attempt 2)",
    ]
    failed.refresh_from_db()
    assert failed.status == "failed"


def test_a_dry_run_shows_what_an_edit_changes(failed: Saga) -> None:
    told = run("retry", "order-1", *WHY, "--input", '{"amount": 4}', "--dry-run")

    assert "  amount: 3 → 4" in told


def test_a_dry_run_of_abandoning_names_what_stands(failed: Saga) -> None:
    assert "Effects stand of: A." in run("abandon", "order-1", *WHY, "--dry-run")


def test_what_its_state_forbids_is_refused(failed: Saga) -> None:
    for more in ((), ("--dry-run",)):
        with pytest.raises(CommandError, match="waits for nobody's decision"):
            run("approve", "order-1", *WHY, "--step", "B", *more)


def test_a_decision_is_given_in_somebody_s_name(driver: Driver) -> None:
    begin(driver, Step("Wait", "", "approve", type=StepType.APPROVAL))
    User.objects.create_user("ann")

    run("approve", "order-1", *WHY, "--step", "Wait", "--as", "ann")

    assert data_of("approved")["actor"] == "ann"
    with pytest.raises(CommandError, match="no user 'bob'"):
        run("pause", "order-1", *WHY, "--as", "bob")


def test_a_timer_is_ended_now(driver: Driver) -> None:
    begin(driver, Step("Wait", "", "wait", type=StepType.TIMER, wait_s=600))

    run("run-now", "order-1", *WHY)

    assert data_of("hurried")["steps"] == [1]


def test_a_signal_is_sent_once(driver: Driver) -> None:
    begin(driver, Step("Wait", "", "wait", type=StepType.SIGNAL, signal="picked_up"))
    sent = ("signal", "order-1", "picked_up", "--data", '{"by": "me"}', "--message-id", "m1")

    with pytest.raises(CommandError, match="waits for no signal"):
        run("signal", "order-1", "lost")
    assert "recorded" in run(*sent)
    assert "repeated" in run(*sent)
    assert data_of("signalled")["data"] == {"by": "me"}
