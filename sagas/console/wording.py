"""The operator's words for statuses, verbs and journal entries."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from sagas.core.definition import StepType
from sagas.core.journal import Kind
from sagas.core.state import StepStatus, WaitsFor
from sagas.core.verbs import Verb

STEP_STATUS = {
    StepStatus.PENDING: _("pending"),
    StepStatus.RUNNING: _("running"),
    StepStatus.WAITING: _("waiting for the reply"),
    StepStatus.SUCCEEDED: _("succeeded"),
    StepStatus.FAILED: _("failed"),
    StepStatus.UNKNOWN: _("outcome unknown"),
    StepStatus.SKIPPED: _("skipped"),
    StepStatus.COMPENSATING: _("being undone"),
    StepStatus.COMPENSATED: _("undone"),
    StepStatus.COMPENSATION_FAILED: _("undo failed"),
    StepStatus.DONE_BY_HAND: _("undone by hand"),
    StepStatus.NOT_NEEDED: _("nothing to undo"),
}

# What a step in status WAITING waits for.
WAITS_FOR = {
    WaitsFor.REPLY: _("waiting for the reply"),
    WaitsFor.SAGA: _("waiting for its saga"),
    WaitsFor.TIME: _("waiting for its time"),
    WaitsFor.SIGNAL: _("waiting for a signal"),
    WaitsFor.APPROVAL: _("waiting for a decision"),
}

PRIORITY = {"high": _("high"), "normal": _("normal"), "low": _("low")}

# What a step is that calls nobody.
STEP_TYPE = {
    StepType.SAGA: _("saga"),
    StepType.TIMER: _("timer"),
    StepType.SIGNAL: _("signal"),
    StepType.APPROVAL: _("decision"),
}

KIND = {
    "compensatable": _("can be undone"),
    "pivot": _("point of no return"),
    "retriable": _("must succeed"),
}

VERB = {
    Verb.RETRY: _("Retry"),
    Verb.COMPENSATE: _("Compensate"),
    Verb.PAUSE: _("Pause"),
    Verb.RESUME: _("Resume"),
    Verb.CANCEL: _("Cancel"),
    Verb.MARK_DONE: _("Mark as done by hand"),
    Verb.SKIP: _("Skip a step"),
    Verb.REWIND: _("Rewind"),
    Verb.RUN_NOW: _("Run now"),
    Verb.MOVE: _("Move to another version"),
    Verb.ABANDON: _("Abandon"),
    Verb.APPROVE: _("Approve"),
    Verb.REJECT: _("Reject"),
}

# What a verb does, in the dialog that asks for it.
CONSEQUENCE = {
    Verb.RETRY: _("What failed gets a new budget of attempts, beginning now."),
    Verb.COMPENSATE: _("What was done is undone, last step first. It cannot be stopped halfway."),
    Verb.PAUSE: _(
        "No new call is made until somebody resumes it. A call in flight still finishes, and "
        "deadlines stand still."
    ),
    Verb.RESUME: _("It goes on where it stood; its deadlines are moved by the time of the pause."),
    Verb.CANCEL: _(
        "No further step is begun. As soon as the call in flight has answered, everything that "
        "was done is undone."
    ),
    Verb.MARK_DONE: _(
        "It is recorded that you undid this step's effect yourself. No call is made for it."
    ),
    Verb.SKIP: _(
        "The step counts as done and is not called. What it may have done already is left as it "
        "is, and is undone only if its outcome is unknown."
    ),
    Verb.REWIND: _(
        "What was done from that step on is undone, last step first; then all of it is done "
        "again, with new keys."
    ),
    Verb.RUN_NOW: _("What waits for its time does not wait any longer: retries and timers."),
    Verb.MOVE: _(
        "It goes on under that version. What its steps have come to stays with them by their "
        "names. Nothing is called by this alone."
    ),
    Verb.ABANDON: _(
        "The saga ends as it is. Nothing more is called or undone, and nobody can take it up again."
    ),
    Verb.APPROVE: _("The step counts as done, and the saga goes on."),
    Verb.REJECT: _("The step has failed for good; what the definition says of that follows."),
}

# Of a verb that was given to one saga.
DONE = {
    Verb.RETRY: _("%(key)s is tried again."),
    Verb.COMPENSATE: _("%(key)s is being undone."),
    Verb.PAUSE: _("%(key)s is paused."),
    Verb.RESUME: _("%(key)s goes on."),
    Verb.CANCEL: _("%(key)s is being cancelled."),
    Verb.MARK_DONE: _("The step of %(key)s is marked as done by hand."),
    Verb.SKIP: _("The step of %(key)s is skipped."),
    Verb.REWIND: _("%(key)s is being rewound."),
    Verb.RUN_NOW: _("%(key)s goes on at once."),
    Verb.MOVE: _("%(key)s goes on under the other version."),
    Verb.ABANDON: _("%(key)s is abandoned."),
    Verb.APPROVE: _("%(key)s is approved."),
    Verb.REJECT: _("%(key)s is rejected."),
}

# What a participant said that was asked whether an attempt took effect.
PROBED = {
    "succeeded": _("it did"),
    "failed": _("it did not, and will not"),
    "absent": _("it never arrived"),
    "unknown": _("it does not know"),
}

# The journal's title of a command that left as a message: nobody has accepted it yet.
COMMANDED = {
    Kind.STEP_WAITING: _("Command sent, the reply follows"),
    Kind.UNDO_WAITING: _("Command to undo sent, the reply follows"),
}

# The journal's title of a wait that is not for a reply.
BEGAN_TO_WAIT = {
    WaitsFor.SAGA: _("Started a saga, waits for its end"),
    WaitsFor.TIME: _("Began to wait for its time"),
    WaitsFor.SIGNAL: _("Began to wait for a signal"),
    WaitsFor.APPROVAL: _("Began to wait for a decision"),
}

# What became of one saga of a batch.
OUTCOME = {
    "done": _("done"),
    "repeated": _("done before"),
    "conflict": _("changed meanwhile"),
    "illegal": _("not in this state"),
    "missing": _("gone"),
}

# Kind → title, icon, tone.
JOURNAL = {
    Kind.SAGA_SCHEDULED: (_("Saga scheduled"), "clock", "quiet"),
    Kind.SAGA_STARTED: (_("Saga started"), "resume", "quiet"),
    Kind.STEP_SENT: (_("Call sent"), "arrow", "quiet"),
    Kind.STEP_WAITING: (_("Accepted, the reply follows"), "clock", "active"),
    Kind.STEP_SUCCEEDED: (_("Succeeded"), "check", "good"),
    Kind.STEP_FAILED: (_("Failed"), "octagon", "bad"),
    Kind.STEP_UNKNOWN: (_("Outcome unknown"), "unknown", "warn"),
    Kind.UNDO_SENT: (_("Undo sent"), "undo", "quiet"),
    Kind.UNDO_WAITING: (_("Undo accepted, the reply follows"), "clock", "active"),
    Kind.UNDO_SUCCEEDED: (_("Undone"), "undone", "undone"),
    Kind.UNDO_FAILED: (_("Undo failed"), "octagon", "bad"),
    Kind.UNDO_UNKNOWN: (_("Outcome of the undo unknown"), "unknown", "warn"),
    Kind.UNDO_NOT_NEEDED: (_("Nothing to undo"), "dash", "quiet"),
    Kind.LATE_REPLY: (_("Late reply"), "clock", "warn"),
    Kind.COMPENSATION_BEGAN: (_("Compensation began"), "back", "undo"),
    Kind.SAGA_COMPLETED: (_("Saga completed"), "check", "good"),
    Kind.SAGA_COMPENSATED: (_("Saga compensated"), "undone", "undone"),
    Kind.SAGA_FAILED: (_("Saga failed: an operator must decide"), "octagon", "bad"),
    Kind.RETRIED: (_("Retried"), "retry", "person"),
    Kind.COMPENSATION_ORDERED: (_("Compensation ordered"), "compensate", "person"),
    Kind.CANCELLED: (_("Cancelled"), "cancel", "person"),
    Kind.PAUSED: (_("Paused"), "bars", "person"),
    Kind.RESUMED: (_("Resumed"), "resume", "person"),
    Kind.MARKED_DONE: (_("Marked as done by hand"), "hand", "person"),
    Kind.STEP_PROBED: (_("Asked whether it took effect"), "search", "warn"),
    Kind.STEP_SKIPPED: (_("Skipped"), "dash", "quiet"),
    Kind.SIGNAL_TAKEN: (_("Signal taken"), "check", "good"),
    Kind.LOCK_AWAITED: (_("Waits for a lock"), "lock", "warn"),
    Kind.LOCK_RELEASED: (_("A lock was released by hand"), "lock", "warn"),
    Kind.SIGNALLED: (_("Signal received"), "signal", "active"),
    Kind.APPROVED: (_("Approved"), "approve", "person"),
    Kind.REJECTED: (_("Rejected"), "reject", "person"),
    Kind.HURRIED: (_("Told to go on at once"), "run_now", "person"),
    Kind.REWIND_ORDERED: (_("Rewind ordered"), "rewind", "person"),
    Kind.REWOUND: (_("Rewound"), "rewind", "undone"),
    Kind.ABANDONED: (_("Abandoned"), "abandon", "person"),
    Kind.MOVED: (_("Moved to another version"), "move", "person"),
}
