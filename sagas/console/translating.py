"""What the engine says in English, in the reader's language: refusals, causes, notes of a plan.

The core of the engine knows no Django, so its sentences are marked for translation here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from sagas.core.planning import PlanLine
from sagas.core.state import SagaState
from sagas.exceptions import SagaError, VersionConflict
from sagas.models import Saga
from sagas.verbs import Result

# As sagas.core.verbs and sagas.verbs say them.
REFUSALS = (
    gettext_noop("Only a failed saga can be retried; this one is %(status)s."),
    gettext_noop("No undo has failed that could be tried again."),
    gettext_noop("Effects of it have been undone by hand, so it cannot go forward; compensate it."),
    gettext_noop("Only a failed or completed saga can be compensated; this one is %(status)s."),
    gettext_noop("Compensation has begun already; retry what failed or mark it as done by hand."),
    gettext_noop("Only a moving saga can be paused; this one is %(status)s."),
    gettext_noop("It is paused already."),
    gettext_noop("It is not paused."),
    gettext_noop("It is being undone already, and an undo is never aborted."),
    gettext_noop("Only a running saga can be cancelled; this one is %(status)s."),
    gettext_noop("It is being cancelled already."),
    gettext_noop("The point of no return has been passed; it can only go forward."),
    gettext_noop("Steps are marked by hand only while a saga has failed; this one is %(status)s."),
    gettext_noop("No effect of this saga stands."),
    gettext_noop("Steps are skipped only on the way forward; this saga is %(status)s."),
    gettext_noop("No step of it has failed or waits for something that could be skipped."),
    gettext_noop("Only a failed saga can be rewound; this one is %(status)s."),
    gettext_noop("There is no step from which it could be done again."),
    gettext_noop("No step of it waits for its time."),
    gettext_noop(
        "Only a saga that runs or has failed can go on under another version; this one is "
        "%(status)s."
    ),
    gettext_noop("An order of an operator is not finished; retry or compensate it first."),
    gettext_noop("A step is in flight or waits; pause the saga and try again when it is done."),
    gettext_noop("Only a failed saga can be abandoned; this one is %(status)s."),
    gettext_noop("It waits for nobody's decision."),
    gettext_noop("It is paused; resume it first."),
    gettext_noop("Only a step that goes forward can have another input."),
    gettext_noop(
        "Nobody knows whether the last attempt took effect; another input would do it twice. "
        "Retry it as it is, skip it, or compensate."
    ),
    gettext_noop("Choose another version of the same definition."),
    gettext_noop("The other version has no step %(step)s, which has begun."),
    gettext_noop("%(step)s, which has begun, is of another type in the other version."),
    gettext_noop("It has ended and was archived; nothing can be done with it any more."),
    gettext_noop("Say why: every verb needs a reason."),
    gettext_noop("request_id must be a text of 1 to 100 characters."),
    gettext_noop("Marking by hand needs the step and evidence of what was done."),
    gettext_noop("Moving a saga needs the version of the definition."),
    gettext_noop("%(verb)s needs the step."),
    gettext_noop("request_id %(id)s was used for another order; use a new one."),
    gettext_noop("%(verb)s cannot be given for step %(step)s; it can for: %(steps)s."),
    gettext_noop("steps must name at least one step, and each only once."),
    gettext_noop("Its input has been edited %(n)s times; start a new saga instead."),
    gettext_noop("The input %(problem)s."),
    gettext_noop("The output %(problem)s."),
    gettext_noop("The new input is the old one; retry without it."),
    gettext_noop("Only members of the group %(group)s decide here."),
    gettext_noop(
        "Only a saga that is paused or has failed can lose a lock; this one is %(status)s. "
        "Pause it first."
    ),
    gettext_noop("It does not hold this lock any more."),
)
# As sagas.core and sagas.engine.children write them to the journal; what participants answer is
# shown as they said it.
MESSAGES = (
    gettext_noop("An operator cancelled the saga."),
    gettext_noop("An operator ordered compensation."),
    gettext_noop("An operator rewinds the saga to %(step)s."),
    gettext_noop("The chosen steps are undone; effects of others stand."),
    gettext_noop("The definition declares no compensation for this step."),
    gettext_noop("The saga did not end within its %(limit)s s."),
    gettext_noop("The participant accepted the command and did not reply within %(limit)s s."),
    gettext_noop("The saga that it had started did not end within %(limit)s s."),
    gettext_noop("The signal %(signal)s did not come within %(limit)s s."),
    gettext_noop("Nobody decided within %(limit)s s."),
    gettext_noop("The worker that sent this call is gone; nobody knows its outcome."),
    gettext_noop("The saga that it had started is %(status)s. %(reason)s"),
    gettext_noop("The saga that it had started is %(status)s."),
    gettext_noop("There is no saga %(id)s any more."),
    gettext_noop("The saga %(id)s was abandoned; its effects stand."),
    gettext_noop("The saga that started it is being undone."),
    gettext_noop("Lock %(lock)s is held by saga %(id)s."),
    gettext_noop("It would wait for ever for lock %(lock)s: %(way)s."),
)
# As sagas.core.planning notes them.
NOTES = (
    gettext_noop("in flight"),
    gettext_noop("its outcome is unknown"),
    gettext_noop("attempt %(n)s"),
    gettext_noop("only if %(condition)s"),
)

# In a sentence that was escaped for a pattern.
_GAP = re.compile(r"%\\\((\w+)\\\)s")
_STATUSES = {status.value: status for status in Saga.Status}


def _readers(sentences: Sequence[str]) -> list[tuple[re.Pattern[str], str]]:
    """Return each sentence with the pattern that finds it, and what was put into its gaps."""
    return [(re.compile(_GAP.sub(_gap, re.escape(text)), re.DOTALL), text) for text in sentences]


def _gap(match: re.Match[str]) -> str:
    return f"(?P<{match[1]}>{'|'.join(_STATUSES) if match[1] == 'status' else '.+'})"


_REFUSALS, _MESSAGES, _NOTES = map(_readers, (REFUSALS, MESSAGES, NOTES))


def _translate(text: str, readers: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for pattern, sentence in readers:
        match = pattern.fullmatch(text)
        if match is not None:
            return _(sentence) % {
                name: _word(name, word) for name, word in match.groupdict().items()
            }
    return text


def _word(name: str, word: str) -> Any:
    if name == "status":
        return _STATUSES[word].label
    return translate_message(word) if name == "reason" else word


def translate_refusal(refusal: str | None) -> str:
    """Return why a verb is refused; nothing for a legal one, and what is not known as it is."""
    return _translate(refusal, _REFUSALS) if refusal else ""


def translate_error(error: SagaError) -> str:
    """Return why an order was not carried out."""
    if isinstance(error, VersionConflict):
        words = _(
            "Saga %(id)s has changed since you looked at it (version %(seen)d, now %(found)d). "
            "Nothing was done. Look at it again."
        )
        return words % {"id": error.saga_id, "seen": error.seen, "found": error.found}
    return translate_refusal(str(error))


def translate_state(state: SagaState) -> SagaState:
    """Return a state whose errors and cause can be read."""
    steps = tuple(
        step if step.error is None else step._replace(error=translate_failure(step.error))
        for step in state.steps
    )
    cause = None if state.cause is None else translate_failure(state.cause)
    return state._replace(steps=steps, cause=cause)


def translate_failure(error: dict[str, Any]) -> dict[str, Any]:
    """Return an error of the journal, its message translated when the engine wrote it."""
    message = str(error.get("message", ""))
    shown = translate_message(message)
    return error if shown == message else error | {"message": shown}


def translate_message(message: str) -> str:
    """Return a stored message in the reader's language; what others said is left as it is."""
    return _translate(message, _MESSAGES)


def translate_result(result: Result) -> Result:
    """Return what became of one saga of a batch, with a message that can be read."""
    message = {
        "conflict": _("It has changed since you looked at it. Nothing was done."),
        "missing": _("There is no such saga."),
    }.get(result.outcome) or translate_refusal(result.message)
    return result._replace(message=message)


def translate_plan(lines: Iterable[PlanLine]) -> list[PlanLine]:
    """Return a plan whose notes can be read."""
    return [line._replace(note=_translate(line.note, _NOTES)) for line in lines]
