"""An independent model of participants and of what a saga may do, for random programs.

The model knows nothing of the core's state: it keeps who did what under which key, in which
order calls were begun, and judges every call and every end by that.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sagas.barrier.keys import parse_key
from sagas.core import happenings as h
from sagas.core.decide import advance
from sagas.core.definition import Definition, Kind, StepType
from sagas.core.evolving import fold
from sagas.core.journal import Entry, initial
from sagas.core.journal import Kind as EntryKind
from sagas.core.moves import Run, Wait, idempotency_key, key_undone, next_moves
from sagas.core.preparing import Ready, prepare
from sagas.core.state import (
    ENDED,
    MOVING,
    Direction,
    SagaStatus,
    StepStatus,
    WaitsFor,
    from_json,
    to_json,
)
from sagas.core.verbs import (
    Verb,
    legal,
    steps_to_approve,
    steps_to_compensate,
    steps_to_hurry,
    steps_to_mark,
    steps_to_rewind,
    steps_to_skip,
    why_not_move,
)
from tests.sagas.versions import other_version

INPUT = {"yes": True, "no": False}
SAGA = {"id": "s", "business_key": "order-1"}
# What lets a saga go forward again after its compensation had begun.
TURNS = (EntryKind.REWOUND,)


class Participants:
    """What stands of each step. They keep the first answer under each key, as they promise."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.standing = [0] * len(definition.steps)
        self.answers: dict[str, bool] = {}

    def take(self, run: Run, *, refuses: bool) -> bool:
        """Let a call arrive; return whether it was done."""
        step = self.definition.steps[run.step]
        key = idempotency_key("s", step.name, run)
        if key in self.answers:
            return self.answers[key]
        forward = run.direction == Direction.FORWARD
        self.answers[key] = not refuses
        if not refuses:
            self.standing[run.step] += 1 if forward else -self.standing[run.step]
        if step.compensation is not None:
            assert self.standing[run.step] <= 1, f"{step.name} was done twice"
        return not refuses

    def move(self, target: Definition) -> None:
        """Serve another version: what stands, stands."""
        stands = {
            step.name: count
            for step, count in zip(self.definition.steps, self.standing, strict=True)
        }
        self.standing = [stands.get(step.name, 0) for step in target.steps]
        self.definition = target


class World:
    """A saga, its participants, and everything that can happen; a number makes one thing happen."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.participants = Participants(definition)
        self.now = 1_000.0
        self.journal: list[Entry] = []
        self.state = initial(len(definition.steps))
        self.in_the_air: list[Run] = []
        # Calls whose answer nobody waits for any more, but which may still come.
        self.lost: list[tuple[Run, bool]] = []
        # The steps in the order in which they were begun, since they were last begun anew.
        self.begun: list[int] = []
        self.ordered_back = False
        self._first_steps = len(definition.steps)
        # By step: the youngest generation of its action that was sent, and that was undone.
        self.youngest: defaultdict[str, int] = defaultdict(int)
        self.undone: defaultdict[str, int] = defaultdict(int)
        self._happens(h.Started(self.now))

    # What happens ------------------------------------------------------------------------------

    def happen(self, number: int) -> None:
        number, kind = divmod(number, 32)
        actions: list[Callable[[int], None]] = [
            self._order,
            self._order,
            self._hear_late,
            self._crash,
            self._signal,
            self._let_pass,
        ]
        (actions[kind] if kind < len(actions) else self.go_on)(number)
        self.check()

    def go_on(self, number: int) -> None:
        """Let the engine do one of the things that are next, or let one call land."""
        moves = next_moves(self.definition, self.state, self.now)
        runs = [move for move in moves if isinstance(move, Run) and move not in self.in_the_air]
        if self.in_the_air and (not runs or number % 2):
            self._land(self.in_the_air.pop(number // 2 % len(self.in_the_air)), number // 8)
        elif runs:
            self._begin(runs[number // 2 % len(runs)])
        elif moves and isinstance(moves[0], Wait):
            self._wait(moves[0])
        elif moves and not isinstance(moves[0], Run):
            self._happens(moves[0])

    def _begin(self, run: Run) -> None:
        self._judge(run)
        self._judge_generation(run)
        prepared = prepare(self.definition, self.state, run, self.now, (INPUT, SAGA))
        if not isinstance(prepared, Ready):
            self._happens(prepared)
            return
        if not run.probe:
            self._happens(h.Sent(self.now, run.step, run.direction, run.attempt))
        self.in_the_air.append(run)

    def _land(self, run: Run, number: int) -> None:
        if run.probe:
            self._answer_probe(run, number)
            return
        where = (self.now, run.step, run.direction, run.attempt)
        choice = number % 8
        if choice == 0 and run.direction == Direction.FORWARD:
            done = self.participants.take(run, refuses=True)
        elif choice in (1, 2):
            self._lose(run, arrives=choice == 1)
            return
        elif choice == 3:
            self._happens(h.Failed(*where, an_error()))
            return
        elif choice == 4 and not self._accepted(run):
            self._happens(h.Accepted(*where))
            self.lost.append((run, self.participants.take(run, refuses=False)))
            return
        else:
            done = self.participants.take(run, refuses=False)
        self._happens(
            h.Succeeded(*where, {"n": run.attempt})
            if done
            else h.Failed(*where, an_error(retryable=False))
        )

    def _accepted(self, run: Run) -> bool:
        return run.direction == Direction.BACKWARD and self.state.steps[run.step].accepted

    def _lose(self, run: Run, *, arrives: bool) -> None:
        if arrives:
            self.lost.append((run, self.participants.take(run, refuses=False)))
        where = (run.step, run.direction, run.attempt)
        self._happens(h.Unknown(self.now, *where, an_error()))

    def _answer_probe(self, run: Run, number: int) -> None:
        key = idempotency_key("s", self.definition.steps[run.step].name, run)
        outcome = {None: "absent", True: "succeeded", False: "failed"}[
            self.participants.answers.get(key)
        ]
        if number % 4 == 0:
            outcome = "unknown"
        self._happens(h.Probed(self.now, run.step, run.attempt, outcome))

    def _hear_late(self, number: int) -> None:
        if not self.lost:
            return
        run, done = self.lost.pop(number % len(self.lost))
        where = (self.now, run.step, run.direction, run.attempt)
        if self.state.status in ENDED - {SagaStatus.COMPENSATED}:
            return
        self._happens(h.Succeeded(*where) if done else h.Failed(*where, an_error(retryable=False)))

    def _crash(self, number: int) -> None:
        """Whoever held the saga is gone; some of what it had sent arrived."""
        for place, run in enumerate(self.in_the_air):
            if number >> place & 1 and not run.probe:
                self.lost.append((run, self.participants.take(run, refuses=False)))
        self.in_the_air = []
        if any(step.sent for step in self.state.steps):
            self._happens(h.LeaseLost(self.now))

    def _signal(self, number: int) -> None:
        if self.state.status not in ENDED:
            self._happens(h.Signalled(self.now, "go", {"n": number % 3}))

    def _let_pass(self, number: int) -> None:
        self.now += number % 50

    def _wait(self, wait: Wait) -> None:
        self.now = max(self.now, wait.until)

    def _order(self, number: int) -> None:
        verbs = legal(self.definition, self.state)
        if not verbs:
            return
        number, which = divmod(number, len(verbs))
        verb = verbs[which]
        if verb == Verb.MOVE:
            self._move(number)
            return
        steps = self._steps_for(verb)
        step = steps[number % len(steps)] if steps else None
        order = h.Ordered(self.now, verb, "operator", "because", step, "receipt 7")
        if verb == Verb.COMPENSATE and number % 3 == 0:
            order = order._replace(steps=self._chosen(number))
        self._carry_out(order)

    def _steps_for(self, verb: Verb) -> tuple[int, ...]:
        return {
            Verb.MARK_DONE: steps_to_mark(self.definition, self.state),
            Verb.SKIP: steps_to_skip(self.definition, self.state),
            Verb.REWIND: steps_to_rewind(self.definition, self.state),
            Verb.RUN_NOW: steps_to_hurry(self.state),
            Verb.APPROVE: steps_to_approve(self.state),
            Verb.REJECT: steps_to_approve(self.state),
        }.get(verb, ())

    def _chosen(self, number: int) -> tuple[int, ...] | None:
        steps = steps_to_compensate(self.definition, self.state)
        chosen = tuple(step for place, step in enumerate(steps) if number >> place & 1)
        return chosen or None

    def _carry_out(self, order: h.Ordered) -> None:
        if order.verb == Verb.MARK_DONE and order.step is not None:
            self.participants.standing[order.step] = 0
        if order.verb in (Verb.COMPENSATE, Verb.REWIND, Verb.CANCEL, Verb.RETRY):
            self.ordered_back = True
        self._happens(order)

    def _move(self, number: int) -> None:
        """Go on under another version. What is in the air may still arrive."""
        target = other_version(self.definition, number)
        if why_not_move(self.definition, self.state, target) is not None:
            return
        self._crash(number)
        self._happens(h.Ordered(self.now, Verb.MOVE, "operator", "because", target=target))
        places = {step.name: index for index, step in enumerate(target.steps)}
        here = [places.get(step.name, -1) for step in self.definition.steps]
        self.lost = [(run._replace(step=here[run.step]), done) for run, done in self.lost]
        self.begun = [here[index] for index in self.begun]
        self.participants.move(target)
        self.definition = target

    def _happens(self, happening: h.Happening) -> None:
        entries, self.state = advance(self.definition, self.state, happening)
        for entry in entries:
            self._judge_entry(entry)
        self.journal += entries

    # What must hold ----------------------------------------------------------------------------

    def _judge(self, run: Run) -> None:
        """A run that begins: everything before it is done; undos go one by one, last one first."""
        step = self.definition.steps[run.step]
        if run.direction == Direction.BACKWARD:
            # A late answer may have settled what is still in the air a second time.
            awaited = [other for other in self.in_the_air if self.state.steps[other.step].sent]
            assert not awaited, "an undo beside another call"
            if self.state.chosen is None:
                later = self.begun[self.begun.index(run.step) + 1 :]
                open_ = [i for i in later if self._is_open(i)]
                assert not open_, f"{step.name} undone before {open_}"
            return
        before = step.after if step.after is not None else tuple(range(run.step))[-1:]
        for index in before:
            assert self.state.steps[index].status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
        if run.step not in self.begun and not run.probe:
            self.begun.append(run.step)

    def _judge_generation(self, run: Run) -> None:
        """An undo takes back all that was sent, and nothing that is done anew after it."""
        name = self.definition.steps[run.step].name
        if run.direction == Direction.BACKWARD:
            undone = parse_key(key_undone("s", name, run, self.state)).generation
            assert undone >= self.youngest[name], f"the undo of {name} leaves an action out"
            self.undone[name] = max(undone, self.undone[name])
        else:
            generation = parse_key(idempotency_key("s", name, run)).generation
            assert run.probe or generation > self.undone[name], f"{name} would be refused"
            self.youngest[name] = max(generation, self.youngest[name])

    def _is_open(self, index: int) -> bool:
        """Say whether an effect stands whose undo has not been tried to the end."""
        step, stands = self.definition.steps[index], self.participants.standing[index]
        tried = (StepStatus.COMPENSATION_FAILED, StepStatus.DONE_BY_HAND)
        return bool(
            stands and step.compensation is not None and self.state.steps[index].status not in tried
        )

    def _judge_entry(self, entry: Entry) -> None:
        if entry.kind == EntryKind.REWOUND:
            self.begun = [index for index in self.begun if index not in entry.data["steps"]]
        if entry.kind == EntryKind.COMPENSATION_BEGAN and not self.ordered_back:
            passed = [
                step.name
                for step, stands in zip(
                    self.definition.steps, self.participants.standing, strict=True
                )
                if step.kind == Kind.PIVOT and stands
            ]
            assert not passed, "it went back behind the point of no return by itself"

    def check(self) -> None:
        state = self.state
        assert fold(initial(self._first_steps), self.journal) == state
        assert state.version == len(self.journal)
        data = json.loads(json.dumps(to_json(state)))
        assert from_json(data, version=state.version) == state
        moves = next_moves(self.definition, state, self.now)
        if state.status in MOVING and state.paused_at is None:
            waits = any(step.sent for step in state.steps) or self.in_the_air
            assert moves or waits, "nothing will ever move it"
        if state.status not in MOVING:
            assert moves == []
        if state.status == SagaStatus.COMPENSATED:
            for index, step in enumerate(self.definition.steps):
                assert not (step.compensation and self.participants.standing[index]), step.name
        if state.status == SagaStatus.COMPLETED:
            self._check_completed()

    def _check_completed(self) -> None:
        for step, step_state, stands in zip(
            self.definition.steps, self.state.steps, self.participants.standing, strict=True
        ):
            assert step_state.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED), step.name
            if step_state.status == StepStatus.SUCCEEDED and step.type == StepType.ACTION:
                assert stands >= 1, f"{step.name} was never done"

    def come_to_rest(self, failure: int | None = None) -> None:
        """Let everything go its way, calls succeed or all fail alike, until nothing moves."""
        if self.state.paused_at is not None:
            self._carry_out(h.Ordered(self.now, Verb.RESUME, "operator", "on"))
        for _ in range(80 * len(self.definition.steps)):
            if self.state.status not in MOVING:
                return
            self._decide_open_waits()
            if self.in_the_air:
                self._land(self.in_the_air.pop(0), 5 if failure is None else failure)
            else:
                self.go_on(0)
            self.check()
        raise AssertionError(f"it never comes to rest: {self.state}")

    def _decide_open_waits(self) -> None:
        for index, step in enumerate(self.state.steps):
            if step.status != StepStatus.WAITING or self.state.status != SagaStatus.RUNNING:
                continue
            if step.waits_for == WaitsFor.SIGNAL:
                self._happens(h.Signalled(self.now, "go"))
            elif step.waits_for == WaitsFor.APPROVAL:
                self._happens(h.Ordered(self.now, Verb.APPROVE, "operator", "fine", index))


def an_error(*, retryable: bool = True) -> dict[str, Any]:
    return {"class": "Broken", "message": "It broke.", "retryable": retryable}
