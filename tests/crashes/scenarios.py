"""The stories that are told with trouble: definitions, services' habits, and who does what."""

from __future__ import annotations

from typing import Any, NamedTuple

from sagas.core.definition import Definition, Kind, OnLocked, Step, StepType
from tests.builders import QUICK, make_step, store
from tests.crashes.world import Habits

# Every trouble costs the calls in the air an attempt, and none may be the last one. A pause is
# longer than a drive, so that a slow machine does nothing else than a fast one.
PATIENT = QUICK._replace(attempts=12, initial_s=0.9, cap_s=0.9)


def near(name: str, **overrides: Any) -> Step:
    """Return a step of a local callable."""
    fields = {"participant": "Near", "retry": PATIENT, "undo_retry": PATIENT, "timeout_s": 5.0}
    return make_step(name, **(fields | overrides))


def far(name: str, **overrides: Any) -> Step:
    """Return a step of a service that is called."""
    return near(name, **({"participant": "Far"} | overrides))


def post(name: str, **overrides: Any) -> Step:
    """Return a step of a service that is sent messages."""
    return near(name, **({"participant": "Post"} | overrides))


def crowd(name: str) -> Step:
    """Return a step of a callable that takes the commands of many sagas at once."""
    return near(name, participant="Crowd")


def nears(names: str) -> list[Step]:
    """Return a step for every letter."""
    return [near(name) for name in names]


def fars(names: str) -> list[Step]:
    return [far(name) for name in names]


def wait(type: StepType, **overrides: Any) -> Step:
    """Return a step that waits for something that no participant does."""
    return Step("W", "", type.value, type=type, **overrides)


# Two sagas in every batch: what hurts the work on one of them must not hurt the other.
TWO: tuple[dict[str, Any], ...] = ({}, {})


# Trouble may also lead there.
UNDONE = {"compensated": ("",)}


class Scenario(NamedTuple):
    """A saga type and what is done with its sagas, as many as there are `inputs`.

    `acts` name functions of `acts` and verbs, some with a step: "approve:W".
    `also`: where trouble may lead beside the end without trouble: by status, which steps' effects
    may stand then (`End.stands`).
    """

    name: str
    steps: tuple[Step, ...]
    habits: Habits = Habits()
    acts: tuple[str, ...] = ("start", "work", "relay")
    also: dict[str, tuple[str, ...]] = {}
    details: dict[str, Any] = {}
    # How many calls a worker has in the air at most.
    concurrency: int = 8
    inputs: tuple[dict[str, Any], ...] = TWO
    # The sagas are to start so many seconds later.
    starts_in_s: float = 0.0
    # Replies come by the stream of replies, not one by one.
    streams: bool = False
    # The steps of the saga that a step of type saga starts.
    child: tuple[Step, ...] = ()
    # The steps of version 2.
    later: tuple[Step, ...] = ()
    # What becomes of ended sagas, by their status.
    retention: dict[str, str] = {}
    # At least one of its sagas has this status in the end.
    least: str = ""

    def store(self) -> list[Definition]:
        """Store the definition and return it, with its later version and its step's saga."""
        children = [store(*self.child, name=CHILD)] if self.child else []
        versions = [steps for steps in (self.steps, self.later) if steps]
        return [store(*steps, name=self.name, **self.details) for steps in versions] + children


def scenario(name: str, *steps: Step, **fields: Any) -> Scenario:
    """Return a scenario; what is no field of it is a habit of its services."""
    habits = {field: fields.pop(field) for field in Habits._fields if field in fields}
    return Scenario(name, steps, Habits(**habits), **fields)


CHILD = "child"
SUB_SAGA = Step("S", CHILD, "start", "compensate", type=StepType.SAGA)
DIAMOND = (near("A"), far("B", after=(0,)), far("C", after=(0,)), near("D", after=(1, 2)))
PARKS = {"on_failure": "park"}
# Nobody waits for so long.
SLOW = PATIENT._replace(initial_s=3_600, cap_s=3_600, total_s=1e6)
# Afterwards their keys are still known.
KEPT_FOR_A_TIME = ("start", "work", "relay", "retain", "start", "work")
MENDED = ("start", "work", "retry", "work", "relay")

SCENARIOS = [
    scenario("local", *nears("ABC")),
    scenario("local, failing", *nears("ABC"), refuses=("doC",)),
    scenario("calls", *fars("ABC")),
    scenario(
        "calls, failing, answers lost",
        *fars("ABC"),
        refuses=("doC",),
        loses=("doA", "undoB"),
    ),
    scenario("undo failing", far("A"), near("B"), far("C"), refuses=("doC", "undoA")),
    scenario("both, failing", near("A"), far("B"), near("C"), refuses=("doC",), loses=("doB",)),
    scenario("calls in a queue", *fars("AB"), busy=("doA",), concurrency=1),
    scenario(
        "doubt compensates",
        far("A"),
        far("B", on_unknown="compensate"),
        near("C"),
        also=UNDONE,
    ),
    scenario(
        "doubt parks",
        far("A"),
        far("B", on_unknown="park"),
        near("C"),
        also={"failed": ("A", "AB")},
    ),
    scenario(
        "past the pivot",
        far("A"),
        near("P", kind=Kind.PIVOT, compensation=None),
        far("C", kind=Kind.RETRIABLE, compensation=None),
        busy=("doC",),
        loses=("doC",),
    ),
    scenario(
        "stopped past the pivot, retried",
        far("A"),
        far("P", kind=Kind.PIVOT),
        near("C", kind=Kind.RETRIABLE),
        refuses_once=("doC",),
        acts=MENDED,
    ),
    scenario(
        "parked, retried under a new key",
        near("A"),
        far("B"),
        far("C"),
        refuses_once=("doB",),
        acts=MENDED,
        details=PARKS,
    ),
    scenario("undo retried", *fars("AB"), refuses=("doB",), refuses_once=("undoA",), acts=MENDED),
    scenario(
        "completed, then compensated",
        near("A"),
        far("B"),
        acts=("start", "work", "compensate", "work", "relay"),
    ),
    scenario("replies", *fars("AB"), near("C"), replies=("doA", "doB"), loses=("doB",)),
    scenario("replies, failing", *fars("AB"), refuses=("doB",), replies=("doA", "undoA")),
    scenario(
        "cancelled while waiting for a reply",
        *fars("AB"),
        near("C"),
        replies=("doB",),
        acts=("start", "drive", "cancel", "work", "relay"),
        also=UNDONE,
    ),
    scenario(
        "paused and resumed",
        near("A"),
        far("B"),
        near("C"),
        replies=("doB",),
        acts=("start", "drive", "pause", "reply", "drive", "resume", "work", "relay"),
    ),
    scenario(
        "messages",
        near("A"),
        post("B"),
        post("C", timeout_s=2.0),
        loses=("doC",),
        busy=("doB",),
    ),
    scenario("messages, failing", post("A"), far("B"), post("C"), refuses=("doC",)),
    scenario("messages, undo failing", post("A"), near("B"), post("C"), refuses=("doC", "undoA")),
    scenario(
        "cancelled while waiting for a message's reply",
        near("A"),
        post("B"),
        near("C"),
        acts=("start", "drive", "cancel", "work", "relay"),
        # The step may not have begun by then.
        also=UNDONE,
    ),
    scenario("messages, replies on the stream", post("A"), near("B"), post("C"), streams=True),
    scenario("branches", *DIAMOND, loses=("doC",)),
    scenario("locks", near("A"), far("B", locks=("B",)), details={"locks": ("A",)}),
    scenario(
        "locks, failing",
        near("A", locks=("A",)),
        near("B", locks=("B",)),
        far("C"),
        refuses=("doC",),
    ),
    scenario(
        "branches, one failing",
        *DIAMOND,
        refuses=("doC",),
        loses=("undoB",),
        # The other branch may not have begun by then.
        also=UNDONE,
    ),
    scenario(
        "branches, both failing, retried",
        *DIAMOND,
        refuses_once=("doB", "doC"),
        acts=MENDED,
        details=PARKS,
        # In doubt it is the old key that is asked again, and the answer is the old one.
        also={"failed": ("A", "AB", "AC")},
    ),
    scenario("branches, replies", *DIAMOND, replies=("doB", "doC"), refuses=("doD",)),
    scenario(
        "a step left out", near("A"), far("B", when="input.absent"), far("C"), refuses=("doC",)
    ),
    scenario(
        "doubt is asked", far("A", on_unknown="probe", probe="askA"), near("B"), loses=("doA",)
    ),
    scenario("a timer", far("A"), wait(StepType.TIMER, wait_s=2.0), near("B"), refuses=("doB",)),
    scenario(
        "a signal",
        near("A"),
        wait(StepType.SIGNAL, signal="go"),
        far("B"),
        acts=("start", "signal", "work", "relay"),
    ),
    scenario(
        "a decision",
        far("A"),
        wait(StepType.APPROVAL),
        far("B"),
        acts=("start", "work", "reject:W", "work", "relay"),
    ),
    scenario(
        "a decision, approved",
        near("A"),
        wait(StepType.APPROVAL),
        far("B"),
        acts=("start", "work", "approve:W", "work", "relay"),
    ),
    scenario("a sub-saga", near("A"), SUB_SAGA, far("B"), child=(far("X"), near("Y"))),
    scenario(
        "a sub-saga, undone",
        far("A"),
        SUB_SAGA,
        near("B"),
        child=(far("X"), near("Y")),
        refuses=("doB",),
    ),
    scenario(
        "a sub-saga under way, undone",
        near("A"),
        SUB_SAGA._replace(after=(0,)),
        far("B", after=(0,)),
        child=(wait(StepType.TIMER, wait_s=0.9), near("X"), near("Y")),
        busy=("doB",),
        refuses=("doB",),
        # By then it may have come to its end.
        also=UNDONE,
    ),
    scenario(
        "a sub-saga, failing", near("A"), SUB_SAGA, child=(far("X"), near("Y")), refuses=("doY",)
    ),
    scenario(
        "retried with another input",
        near("A"),
        far("B"),
        near("C"),
        refuses_once=("doB",),
        acts=("start", "work", "edit", "work", "relay"),
        details=PARKS,
    ),
    scenario(
        "skipped by hand",
        near("A"),
        far("B"),
        near("C"),
        refuses=("doB",),
        acts=("start", "work", "skip:B", "work", "relay"),
        details=PARKS,
    ),
    scenario(
        "behind the barrier",
        far("A"),
        far("B", on_unknown="compensate"),
        near("C"),
        barrier=True,
        also=UNDONE,
    ),
    scenario("in batches", crowd("A"), near("B"), crowd("C"), far("D"), refuses=("doC",)),
    scenario("in batches, undone", crowd("A"), far("B"), crowd("C"), near("D"), refuses=("doD",)),
    scenario(
        "rewound",
        near("A"),
        far("B"),
        near("C"),
        far("D"),
        refuses_once=("doD",),
        acts=("start", "work", "rewind:B", "work", "relay"),
        details=PARKS,
    ),
    scenario(
        "rewound, by messages",
        post("A"),
        near("B"),
        post("C"),
        refuses_once=("doC",),
        acts=("start", "work", "rewind:A", "work", "relay"),
        details=PARKS,
    ),
    scenario(
        "moved to another version",
        near("A"),
        far("B"),
        later=(near("A"), far("B"), near("N"), far("C")),
        refuses_once=("doB",),
        acts=("start", "work", "move:2", "retry", "work", "relay"),
        details=PARKS,
    ),
    scenario(
        "abandoned",
        near("A"),
        far("B"),
        far("C"),
        refuses=("doC",),
        acts=("start", "work", "abandon", "relay"),
        details=PARKS,
    ),
    scenario(
        "undone by hand",
        far("A"),
        near("B"),
        far("C"),
        refuses=("doC", "undoA"),
        acts=("start", "work", "mark_done:A", "work", "relay"),
    ),
    scenario(
        "chosen steps undone",
        near("A"),
        far("B"),
        far("C"),
        acts=("start", "work", "compensate:A,C", "work", "relay"),
    ),
    scenario(
        "chosen steps undone, then the rest",
        near("A"),
        far("B"),
        post("C"),
        acts=("start", "work", "compensate:B", "work", "compensate", "work", "relay"),
    ),
    scenario(
        "run now",
        far("A", retry=SLOW, undo_retry=SLOW),
        near("B"),
        far("C", retry=SLOW),
        refuses=("doC",),
        busy=("doA", "undoA"),
        acts=("start", "hurry", "relay"),
    ),
    scenario(
        "paused while it is undone",
        far("A"),
        near("B"),
        far("C"),
        refuses=("doC",),
        replies=("undoA",),
        acts=("start", "drive", "pause", "reply", "drive", "resume", "work", "relay"),
    ),
    scenario(
        "retried all at once",
        near("A"),
        far("B"),
        refuses_once=("doB",),
        inputs=({}, {}, {}),
        acts=("start", "work", "retry_all", "work", "relay"),
        details=PARKS,
    ),
    scenario(
        "cancelled at once",
        near("A"),
        far("B"),
        acts=("start", "cancel", "work", "relay"),
        # Another worker may be faster.
        also=UNDONE | {"completed": ("AB",)},
    ),
    scenario(
        "waiting for a lock",
        near("A"),
        far("B"),
        near("C"),
        replies=("doB",),
        details={"locks": ("A",)},
    ),
    scenario(
        "refused a lock",
        near("A"),
        far("B"),
        near("C"),
        replies=("doB",),
        details={"locks": ("A",), "on_locked": OnLocked.REFUSE},
        # The first one may have ended before the second one comes, or come later.
        also=UNDONE | {"completed": ("ABC",)},
        least="completed",
    ),
    scenario(
        "a deadlock",
        near("A", locks=("{input.first}",)),
        far("B"),
        near("C", locks=("{input.second}",)),
        replies=("doB",),
        inputs=({"first": "X", "second": "Y"}, {"first": "Y", "second": "X"}),
        # Who comes last to the circle gives way; who ends before the other begins makes none.
        also=UNDONE | {"completed": ("ABC",)},
        least="completed",
    ),
    scenario("started at a time", near("A"), far("B"), starts_in_s=3.0),
    scenario(
        "a deadline",
        far("A"),
        near("B"),
        wait(StepType.SIGNAL, signal="go"),
        details={"timeout_s": 3.0},
    ),
    scenario("a schedule", near("A"), far("B"), inputs=(), acts=("fire", "work", "relay")),
    scenario(
        "archived", near("A"), far("B"), acts=KEPT_FOR_A_TIME, retention={"completed": "archive"}
    ),
    scenario(
        "dropped",
        near("A"),
        far("B"),
        refuses=("doB",),
        acts=KEPT_FOR_A_TIME,
        retention={"compensated": "drop"},
    ),
]
