"""The page of one saga."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from dlq.models import DeadLetter
from outbox.models import Message
from outbox.pages import Unavailable, actor_of, page, render_page
from sagas import missing
from sagas.console.explaining import explain
from sagas.console.steps import step_rows
from sagas.console.surroundings import decisions, editions, related, signals_of
from sagas.console.timeline import timeline
from sagas.console.translating import translate_state
from sagas.console.wording import VERB
from sagas.core import definition as core
from sagas.core.state import ENDED, MOVING, SagaState, from_json
from sagas.core.verbs import Verb, legal, steps_to_approve
from sagas.engine.statements import to_datetime
from sagas.exceptions import DefinitionUnreadable
from sagas.models import Definition, JournalEntry, Participant, Saga, SagaStart
from sagas.retention.archive import find_archived, restore
from sagas.verbs import PERMISSIONS, may_decide
from sagas.waiting import next_calls

# A saga's history is short; one that was retried for days shows its newest part.
JOURNAL_SHOWN = 400
RELATED_SHOWN = 50


def read_saga(saga_id: UUID) -> tuple[Saga, core.Definition, SagaState]:
    """Return a saga with what the core knows of it, or answer 404."""
    saga = Saga.objects.select_related("definition").filter(pk=saga_id).first()
    if saga is None:
        raise Http404(_("There is no such saga."))
    return saga, core_of(saga.definition), from_json(saga.state, version=saga.version)


def core_of(stored: Definition) -> core.Definition:
    """Return the definition as the core knows it, or answer that only a newer release can."""
    try:
        return stored.as_core()
    except DefinitionUnreadable:
        raise Unavailable(
            _("A newer release wrote this"),
            _("%s cannot be shown or run by this release. Update it, or ask who does.") % stored,
        ) from None


class Found(NamedTuple):
    """A saga with its start and the newest part of its journal, also from the archive."""

    saga: Saga
    start: SagaStart | None
    journal: list[JournalEntry]
    archived_at: datetime | None = None


def _find(saga_id: UUID) -> Found:
    saga = Saga.objects.select_related("definition").filter(pk=saga_id).first()
    if saga is not None:
        newest = JournalEntry.objects.filter(saga_id=saga_id).order_by("-seq")[:JOURNAL_SHOWN]
        return Found(saga, SagaStart.objects.filter(pk=saga_id).first(), list(newest)[::-1])
    archived = find_archived(saga_id)
    if archived is None:
        raise Http404(_("There is no such saga."))
    saga, start, journal = restore(archived)
    return Found(saga, start, journal[-JOURNAL_SHOWN:], archived.archived_at)


@page("sagas.view_saga")
def saga_page(request: HttpRequest, saga_id: UUID) -> HttpResponse:
    saga, start, journal, archived_at = _find(saga_id)
    definition = core_of(saga.definition)
    state = translate_state(from_json(saga.state, version=saga.version))
    messages = list(Message.objects.filter(saga_id=saga_id).order_by("-pk")[:RELATED_SHOWN])
    letters = list(DeadLetter.objects.filter(saga_id=saga_id).order_by("-pk")[:RELATED_SHOWN])
    now = time.time()
    context = {
        "title": saga.business_key,
        "saga": saga,
        "state": state,
        "explanation": explain(definition, state, now),
        "steps": step_rows(definition, state, journal, now),
        "timeline": timeline(journal, messages, letters),
        "is_journal_cut": len(journal) == JOURNAL_SHOWN,
        "start": start,
        "archived_at": archived_at,
        "sent_messages": messages,
        "letters": letters,
        "paused_participants": _paused(definition) if state.status in MOVING else [],
        "waits_for": _waits_for(saga, definition, now),
        "related": related(state),
        "decisions": [] if archived_at else decisions(definition, state, journal, request.user),
        "editions": editions(state, start.input if start else None, journal),
        "signals": [] if archived_at else signals_of(definition, state),
        "verbs": [] if archived_at else _verbs(request, definition, state),
        "seconds": _seconds(saga, state, now),
        "starts_at": None if state.starts_at is None else to_datetime(state.starts_at),
        "has_ended": state.status in ENDED,
        "outputs": _outputs(definition, state),
    }
    return render_page(request, "console/saga.html", context)


def _verbs(
    request: HttpRequest, definition: core.Definition, state: SagaState
) -> list[tuple[Verb, str]]:
    return [
        (verb, str(VERB[verb]))
        for verb in legal(definition, state)
        if request.user.has_perm(PERMISSIONS[verb]) and _may_give(request, verb, definition, state)
    ]


def _may_give(
    request: HttpRequest, verb: Verb, definition: core.Definition, state: SagaState
) -> bool:
    if verb not in (Verb.APPROVE, Verb.REJECT):
        return True
    return any(may_decide(definition, step, actor_of(request)) for step in steps_to_approve(state))


def _paused(definition: core.Definition) -> Sequence[Participant]:
    names = {step.participant for step in definition.steps}
    return list(Participant.objects.filter(name__in=names, paused_at__isnull=False))


def _waits_for(saga: Saga, definition: core.Definition, now: float) -> str:
    """Return a call that is to be made now and that a worker does not know."""
    calls = next_calls(definition, saga.state, saga.version, now)
    missed = {(row.missing.name, row.missing.detail) for row in missing.reports()} if calls else ()
    return next((".".join(call) for call in calls if call in missed), "")


def _seconds(saga: Saga, state: SagaState, now: float) -> float:
    end = saga.updated_at.timestamp() if state.status in ENDED else now
    return max(0.0, end - saga.created_at.timestamp())


def _outputs(definition: core.Definition, state: SagaState) -> list[tuple[str, Any]]:
    return [
        (step.name, own.output)
        for step, own in zip(definition.steps, state.steps, strict=True)
        if own.output is not None
    ]
