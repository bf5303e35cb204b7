"""What the engine says in English, in the reader's language: refusals, causes, notes of a plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from outbox.sentences import Sentences, register_sentences, speak
from sagas.console import sentences
from sagas.core.planning import PlanLine
from sagas.core.state import SagaState
from sagas.exceptions import SagaError, VersionConflict
from sagas.models import Saga
from sagas.verbs import Result

_STATUSES = {status.value: status for status in Saga.Status}
_PROBLEMS = Sentences(sentences.PROBLEMS)
_NOTES = Sentences(sentences.NOTES)


def _problem(text: str) -> str:
    return _PROBLEMS.translate(text) or text


def _none(names: str) -> str:
    return _("none") if names == "none" else names


def _sentences(*marked: tuple[str, ...]) -> Sentences:
    return Sentences(
        [text for some in marked for text in some],
        words={
            "status": lambda word: _STATUSES[word].label,
            "reason": speak,
            "problem": _problem,
            "names": _none,
            "steps": _none,
        },
        # Narrow, so that what a participant said is not taken for a sentence of ours.
        shapes={
            "status": "|".join(_STATUSES),
            "problem": "(?:is no JSON|has [0-9,]+ bytes|holds a NUL).*",
            "definition": r"\S+",
            "quoted": "'.*'|\".*\"",
        },
    )


_REFUSALS = _sentences(
    sentences.REFUSALS,
    sentences.SIGNALS,
    sentences.RETENTION,
    sentences.SCHEDULES,
    sentences.STARTS,
)


def register_stored() -> None:
    """Let every page know what journals, dead replies, stopped schedules and the audit say."""
    register_sentences(
        _sentences(
            sentences.MESSAGES,
            sentences.REPLIES,
            sentences.SCHEDULES,
            sentences.STARTS,
            sentences.AUDIT,
        )
    )


def translate_refusal(refusal: str | None) -> str:
    """Return why a verb is refused; nothing for a legal one, and what is not known as it is."""
    return (_REFUSALS.translate(refusal) or refusal) if refusal else ""


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
    shown = speak(message)
    return error if shown == message else error | {"message": shown}


def translate_result(result: Result) -> Result:
    """Return what became of one saga of a batch, with a message that can be read."""
    message = {
        "conflict": _("It has changed since you looked at it. Nothing was done."),
        "missing": _("There is no such saga."),
    }.get(result.outcome) or translate_refusal(result.message)
    return result._replace(message=message)


def translate_plan(lines: Iterable[PlanLine]) -> list[PlanLine]:
    """Return a plan whose notes can be read."""
    return [
        line._replace(notes=tuple(_NOTES.translate(note) or note for note in line.notes))
        for line in lines
    ]
