"""Random definitions with random things happening, judged by an independent model."""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sagas.core.definition import (
    Definition,
    Kind,
    OnFailure,
    OnTimeout,
    OnUnknown,
    RetryPolicy,
    Step,
    StepType,
    from_spec,
    to_spec,
)
from tests.builders import make_definition
from tests.sagas.worlds import World

THOROUGH = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate, Phase.shrink],
)
# Long ones are found by their seed: drawn number by number they would mostly be short.
NUMBERS = st.one_of(
    st.lists(st.integers(0, 1_000_000), max_size=80),
    st.builds(
        lambda seed, count: [Random(seed * 1_000 + n).randrange(1_000_000) for n in range(count)],
        st.integers(0, 10**9),
        st.integers(20, 150),
    ),
)
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 3),
    initial_s=st.sampled_from([0.0, 1.0, 20.0]),
    total_s=st.sampled_from([5.0, 300.0]),
    jitter=st.booleans(),
)
WAITS = {StepType.TIMER: "wait", StepType.SIGNAL: "signal", StepType.APPROVAL: "approve"}


@st.composite
def programs(draw: st.DrawFn) -> Definition:
    """Graphs of steps as the validation lets them pass: with a pivot, or parallel, or both."""
    count = draw(st.integers(1, 7))
    pivot = draw(st.one_of(st.none(), st.integers(0, count - 1)))
    steps = [draw(_steps(index, pivot, _after(draw, index, pivot))) for index in range(count)]
    return make_definition(
        *steps,
        on_failure=draw(st.sampled_from(OnFailure)),
        timeout_s=draw(st.sampled_from([None, None, 60.0])),
    )


def _after(draw: st.DrawFn, index: int, pivot: int | None) -> tuple[int, ...] | None:
    """Draw what comes before a step; nothing goes beside the pivot."""
    if index == 0 or draw(st.booleans()):
        return None
    if index == pivot:
        return tuple(range(index))
    first = pivot if pivot is not None and index > pivot else 0
    chosen = draw(st.sets(st.integers(first, index - 1)))
    return tuple(sorted(chosen | ({pivot} if pivot is not None and index > pivot else set())))


@st.composite
def _steps(draw: st.DrawFn, index: int, pivot: int | None, after: tuple[int, ...] | None) -> Step:
    name = f"S{index}"
    when = draw(st.sampled_from(["", "", "", "input.yes", "input.no"]))
    behind = pivot is not None and index >= pivot
    if not behind and draw(st.integers(0, 4)) == 0:
        return _wait(draw, name, after, when)
    kind = Kind.COMPENSATABLE
    if behind:
        kind = Kind.PIVOT if index == pivot else Kind.RETRIABLE
    on_unknown = draw(st.sampled_from(OnUnknown))
    return Step(
        name,
        "Service",
        f"do{name}",
        f"undo{name}" if draw(st.integers(0, 4)) else None,
        kind=kind,
        retry=draw(POLICIES),
        undo_retry=draw(POLICIES),
        on_unknown=on_unknown,
        probe="ask" if on_unknown == OnUnknown.PROBE else "",
        after=after,
        when="" if kind == Kind.PIVOT else when,
    )


def _wait(draw: st.DrawFn, name: str, after: tuple[int, ...] | None, when: str) -> Step:
    type_ = draw(st.sampled_from(sorted(WAITS)))
    return Step(
        name,
        "",
        WAITS[type_],
        type=type_,
        after=after,
        when=when,
        wait_s=draw(st.sampled_from([0.0, 5.0, 500.0])) if type_ == StepType.TIMER else None,
        signal="go" if type_ == StepType.SIGNAL else "",
        within_s=draw(st.sampled_from([None, 30.0])),
        on_timeout=draw(st.sampled_from(OnTimeout)),
    )


def played(definition: Definition, numbers: list[int]) -> World:
    world = World(definition)
    for number in numbers:
        world.happen(number)
    return world


@THOROUGH
@given(programs(), NUMBERS)
def test_whatever_happens_nothing_is_lost_or_done_twice(
    definition: Definition, numbers: list[int]
) -> None:
    """The fold is the state, order holds, no effect is doubled, none survives a compensation."""
    played(definition, numbers)


@THOROUGH
@given(programs(), NUMBERS)
def test_every_program_comes_to_rest_once_its_participants_behave(
    definition: Definition, numbers: list[int]
) -> None:
    played(definition, numbers).come_to_rest()


@THOROUGH
@given(programs(), NUMBERS, st.sampled_from([0, 1, 2, 3]))
def test_every_program_comes_to_rest_when_nothing_succeeds_any_more(
    definition: Definition, numbers: list[int], failure: int
) -> None:
    """Edge case 18."""
    played(definition, numbers).come_to_rest(failure)


@THOROUGH
@given(programs())
def test_a_program_is_stored_and_read_back(definition: Definition) -> None:
    assert from_spec(to_spec(definition), version=0) == definition
