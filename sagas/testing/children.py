"""Sub-sagas of a simulation; by the rules of `sagas.engine.children`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagas.core import happenings as h
from sagas.core.children import UNDONE_BY, found_ended
from sagas.core.moves import Run, idempotency_key
from sagas.core.state import ENDED, Direction, SagaStatus, WaitsFor
from sagas.core.verbs import why_not
from sagas.participants.calls import describe

if TYPE_CHECKING:
    from sagas.testing.played import PlayedSaga
    from sagas.testing.world import World


class UnknownChild(LookupError):
    """A step starts a saga whose definition the simulation was not given."""


def run(world: World, parent: PlayedSaga, run: Run, input: Any) -> h.Result:
    """Start the saga of a step, or have it undone; it tells its parent when it has ended."""
    if run.direction == Direction.BACKWARD:
        return _undo(world, parent, run)
    step = parent.definition.steps[run.step]
    definition = world.definitions.get(step.participant)
    if definition is None:
        raise UnknownChild(
            f"{step.name} starts {step.participant}, which the simulation does not know: "
            "simulate(..., sub_sagas=[its file, class or definition])."
        )
    key = idempotency_key(parent.id, step.name, run)
    child = world.children.get(key)
    if child is None:
        origin = {"saga": str(parent.id), "step": step.name}
        child = world.children[key] = world.start(definition, input, parent.business_key, origin)
    elif child.state.status in ENDED:
        return found_ended(world.end_of(child, run.step), run.attempt)
    wake_at = None if step.within_s is None else world.now + step.within_s
    return h.Waiting(world.now, *run[:3], WaitsFor.SAGA, wake_at, str(child.id))


def _undo(world: World, parent: PlayedSaga, run: Run) -> h.Result:
    known = parent.state.steps[run.step].child
    if not known:
        return _refused(world, run, "ChildGone", "It had not started a saga.")
    child = world.find(known)
    verb = UNDONE_BY.get(child.state.status)
    if verb is not None and why_not(child.definition, child.state, verb) is None:
        actor, reason = f"saga {parent.id}", "The saga that started it is being undone."
        world.happen(child, h.Ordered(world.now, verb, actor, reason))
    if child.state.status == SagaStatus.COMPENSATED:
        return h.Succeeded(world.now, *run[:3])
    if child.state.status == SagaStatus.ABANDONED:
        message = f"The saga {child.id} was abandoned; its effects stand."
        return _refused(world, run, "ChildAbandoned", message)
    return h.Waiting(world.now, *run[:3], WaitsFor.SAGA, None)


def _refused(world: World, run: Run, error_class: str, message: str) -> h.Failed:
    return h.Failed(world.now, *run[:3], describe(error_class, message, retryable=False))
