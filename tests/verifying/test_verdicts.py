"""Playing a definition's failures: what holds, and that what does not is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagas.core.definition import Definition, Kind, OnFailure, OnUnknown, Scenario, StepType
from sagas.definitions import read_yaml
from sagas.verifying import Verdict, verify
from sagas.verifying.invariants import check
from sagas.verifying.judging import is_same_order, problems_of
from sagas.verifying.observing import play_in_memory
from sagas.verifying.plays import Play, Trouble, plays_of
from tests.builders import make_definition, make_step

EXAMPLES = sorted(Path("examples/definitions").glob("*.yaml"))


def scenario(step: str | None, *compensations: str) -> Scenario:
    return Scenario("Trouble", step, compensations)


def problems(verdict: Verdict) -> list[str]:
    return [problem for line in verdict.lines for problem in line.problems]


def abc(*scenarios: Scenario, **fields: Any) -> Definition:
    steps = (make_step("A"), make_step("B"), make_step("C"))
    return make_definition(*steps, scenarios=scenarios, **fields)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_holds(file: Path) -> None:
    definition = read_yaml(file.read_text(encoding="utf-8"), filename=str(file))

    verdict = verify(definition)

    assert problems(verdict) == []
    assert verdict.holds
    played = [line.scenario for line in verdict.lines if line.scenario]
    assert played == [scenario.name for scenario in definition.scenarios]


def test_a_note_in_korean_lists_no_compensation() -> None:
    definition = read_yaml(
        Path("examples/definitions/travel-booking.yaml").read_text(encoding="utf-8"),
        filename="travel",
    )

    line = verify(definition).lines[0]

    assert definition.scenarios[0].notes == ("(none, 첫 단계 실패)",)
    assert (line.scenario, line.ran, line.holds) == ("FlightReservationFailed", (), True)


def test_every_step_is_brought_into_every_trouble() -> None:
    played = {(play.step, play.trouble) for play in plays_of(abc())}

    troubles = set(Trouble) - {Trouble.NONE, Trouble.UNDO_REPEATED}
    assert played >= {(name, trouble) for name in "ABC" for trouble in troubles}
    assert ("C", Trouble.UNDO_REPEATED) in played


@pytest.mark.parametrize(
    ("listed", "ran"),
    [(("undoA", "undoB"), "undoB, undoA"), (("undoB",), "undoB, undoA"), ((), "undoB, undoA")],
)
def test_a_scenario_that_lists_something_else_does_not_hold(
    listed: tuple[str, ...], ran: str
) -> None:
    verdict = verify(abc(scenario("C", *listed)))

    assert not verdict.holds
    assert problems(verdict) == [f"listed: {', '.join(listed) or 'none'}; ran: {ran}"]


def test_a_scenario_that_undoes_its_own_step_is_played_as_an_outcome_nobody_knows() -> None:
    verdict = verify(abc(scenario("B", "undoB", "undoA")))

    assert verdict.holds
    assert verdict.lines[0].trouble == Trouble.LOST


def test_a_scenario_whose_step_nobody_can_tell_says_how_to_mend_it() -> None:
    verdict = verify(abc(scenario(None, "undoA")))

    assert not verdict.holds
    assert "say it with the field step: (one of A, B, C)" in problems(verdict)[0]


def test_a_scenario_of_a_step_that_cannot_fail_is_named() -> None:
    timer = make_step(
        "T", type=StepType.TIMER, participant="", action="wait", compensation=None, wait_s=1.0
    )
    verdict = verify(make_definition(make_step("A"), timer, scenarios=(scenario("T", "undoA"),)))

    assert "T cannot fail" in problems(verdict)[0]


def test_parallel_steps_may_be_undone_in_any_order_but_not_before_what_came_after() -> None:
    steps = (make_step("A"), make_step("B", after=()), make_step("C", after=(0, 1)), make_step("D"))
    definition = make_definition(*steps)

    assert is_same_order(definition, ["undoC", "undoA", "undoB"], ["undoC", "undoB", "undoA"])
    assert not is_same_order(definition, ["undoA", "undoC", "undoB"], ["undoC", "undoB", "undoA"])
    assert not is_same_order(definition, ["undoC", "undoA"], ["undoC", "undoB", "undoA"])


@pytest.mark.parametrize(
    "definition",
    [
        abc(on_failure=OnFailure.PARK),
        make_definition(
            make_step("A"),
            make_step("B", kind=Kind.PIVOT, compensation=None),
            make_step("C", kind=Kind.RETRIABLE, compensation=None),
        ),
        make_definition(make_step("A", on_unknown=OnUnknown.PARK), make_step("B")),
        make_definition(make_step("A", on_unknown=OnUnknown.COMPENSATE), make_step("B")),
        make_definition(make_step("A", compensation=None), make_step("B")),
        make_definition(make_step("A", on_unknown=OnUnknown.PROBE, probe="ask"), make_step("B")),
    ],
)
def test_what_a_definition_may_say_about_failures_holds(definition: Definition) -> None:
    assert problems(verify(definition)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "completed"}, "it ended completed, not compensated"),
        ({"undone": ("A", "B")}, "begun A, B, C; undone A, B"),
        ({"undone": ("B", "B", "A")}, "undone more than once"),
        ({"standing": ("A",)}, "effects stand: A"),
        ({"effects": {"A": 2}}, "done twice: A"),
        ({"undo_keys": {"A": ("k1", "k2"), "B": ("k", "k")}}, "the undo of A was called under"),
    ],
)
def test_what_an_engine_does_wrong_is_found(change: dict[str, object], problem: str) -> None:
    definition, play = abc(), Play("C", Trouble.UNDO_REPEATED)
    seen = play_in_memory(definition, play)
    assert list(problems_of(definition, play, seen)) == []

    found = problems_of(definition, play, seen._replace(**change))  # type: ignore[arg-type]

    assert problem in "; ".join(found)


ORDER, SHELF = "order:{input.id}", "shelf:{outputs.A.shelf}"


def with_locks(**fields: Any) -> Definition:
    steps = (make_step("A"), make_step("B", locks=(SHELF,)), make_step("C"))
    return make_definition(*steps, locks=(ORDER,), **fields)


def test_locks_are_taken_and_given_back_in_every_play() -> None:
    definition = with_locks()

    verdict = verify(definition)

    assert problems(verdict) == []
    seen = [play_in_memory(definition, play) for play in plays_of(definition)]
    assert {one.locked for one in seen} == {(ORDER,), (ORDER, SHELF)}
    assert {one.still_locked for one in seen} == {()}


def test_a_saga_that_stops_keeps_its_locks() -> None:
    definition, play = with_locks(on_failure=OnFailure.PARK), Play("B", Trouble.REFUSED)

    seen = play_in_memory(definition, play)

    assert (seen.status, seen.still_locked) == ("failed", (ORDER, SHELF))
    assert list(problems_of(definition, play, seen)) == []


@pytest.mark.parametrize(
    ("on_failure", "change", "problem"),
    [
        ("compensate", {"still_locked": (SHELF,)}, "compensated, and still holds: " + SHELF),
        ("compensate", {"locked": (SHELF,)}, "begun without its locks: " + ORDER),
        ("park", {"still_locked": (SHELF,)}, "it stopped, and has not kept: " + ORDER),
    ],
)
def test_what_an_engine_does_wrong_with_locks_is_found(
    on_failure: str, change: dict[str, Any], problem: str
) -> None:
    definition = with_locks(on_failure=OnFailure(on_failure), invariants=(GIVEN_BACK,))
    play = Play("C", Trouble.REFUSED)
    seen = play_in_memory(definition, play)._replace(**change)

    assert list(problems_of(definition, play, seen)) == [problem]
    [invariant] = check(definition, [(play, seen)])
    assert (invariant.holds, invariant.told) == (False, f"C refused: {problem}")


def test_an_engine_that_comes_to_something_else_is_named() -> None:
    def broken(definition: Definition, plays: object) -> list[object]:
        seen = [play_in_memory(definition, play) for play in plays]  # type: ignore[attr-defined]
        return [one._replace(standing=()) if one.status == "completed" else one for one in seen]

    verdict = verify(abc(), engine=broken)  # type: ignore[arg-type]

    assert any("the engine came to" in problem for problem in problems(verdict))


GIVEN_BACK = "All locks are given back at the end"
KNOWN = (
    "All compensations must be idempotent",
    "Compensation order is reverse of execution order",
    "Saga timeout = sum of step timeouts + buffer",
)


def test_the_known_invariants_are_checked_and_others_named() -> None:
    verdict = verify(abc(invariants=(*KNOWN, "Nobody is paid twice"), timeout_s=100.0))

    assert [invariant.holds for invariant in verdict.invariants] == [True, True, True, None]
    assert "each called twice under one key" in verdict.invariants[0].told
    assert "a buffer of 10s" in verdict.invariants[2].told
    assert "not checked" in verdict.invariants[3].told
    assert verdict.holds


def test_that_all_locks_are_given_back_is_an_invariant() -> None:
    [kept] = verify(with_locks(invariants=(GIVEN_BACK,))).invariants
    [none] = verify(abc(invariants=(GIVEN_BACK,))).invariants

    assert kept.holds
    assert "runs that ended" in kept.told
    assert (none.holds, none.told) == (True, "it takes none")


def test_a_timeout_without_its_buffer_does_not_hold() -> None:
    verdict = verify(abc(invariants=KNOWN[2:], timeout_s=60.0))

    assert not verdict.holds
    assert "the saga's 1m: less" in verdict.invariants[0].told
