"""Which participants there are, how they are reached, and whether they may be called now."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from outbox.audit import Actor, log_verb, name_of
from outbox.models import Route
from sagas.core.definition import Definition
from sagas.models import Participant
from sagas.participants.commands import command_type, takers
from sagas.participants.descriptions import Described, DescriptionError, read_description
from sagas.participants.secrets import Holder, plain_name, problem_of

# How long a worker may go on with what it read: a pause takes hold within this time.
FRESH_S = 1.0


class Directory:
    """The participants, read again when the last reading is older than `FRESH_S`."""

    def __init__(self) -> None:
        self._rows: dict[str, Participant] = {}
        # Only read where a participant is reached by messages.
        self._routes: list[Route] = []
        # With the JSON that it was read from: read anew only when that has changed.
        self._described: dict[str, tuple[Any, dict[str, Described]]] = {}
        # Names that would own each other's secrets; saving refuses them.
        self._alike: set[str] = set()
        self._read_at = float("-inf")

    def refresh(self) -> bool:
        """Read the rows again if it is time; say whether that was done."""
        if time.monotonic() - self._read_at <= FRESH_S:
            return False
        self._rows = {row.name: row for row in Participant.objects.all()}
        by_message = Participant.Transport.MESSAGE
        if any(row.transport == by_message for row in self._rows.values()):
            self._routes = list(Route.objects.all())
        counts = Counter(plain_name(name) for name in self._rows)
        self._alike = {name for name in self._rows if counts[plain_name(name)] > 1}
        self._read_at = time.monotonic()
        return True

    def find(self, name: str) -> Participant | None:
        return self._rows.get(name)

    def takers(self, row: Participant, action: str) -> list[Route]:
        """Return the routes that take the commands for an action."""
        return takers(self._routes, row.name, action)

    def described(self, row: Participant, action: str, *, probe: bool = False) -> Described:
        """Return how an action of a described API is called, or how its probe is.

        Raises DescriptionError for what cannot be called now: not described, or a secret of it
        is not there or not this participant's.
        """
        source, actions = self._described.get(row.name, (None, {}))
        if source != (row.api, row.address):
            actions = read_description(row.api, Holder(row.name, row.address))
            self._described[row.name] = (row.api, row.address), actions
        described = actions.get(action)
        if described is not None and probe:
            described = described.probe
        if described is None:
            missing = "probe of the action" if probe else "action"
            raise DescriptionError([f"the description of its API has no {missing} {action}"])
        if described.secrets and row.name in self._alike:
            alike = "another participant has the same name but for capitals and punctuation"
            raise DescriptionError([f"it uses secrets, and {alike}; rename one of them"])
        if problems := list(filter(None, map(problem_of, sorted(described.secrets)))):
            raise DescriptionError(problems)
        return described


def lost_commands(definition: Definition) -> list[str]:
    """Return the types of commands that a definition would send and that no route takes."""
    names = {step.participant for step in definition.steps}
    by_message = Participant.objects.filter(transport=Participant.Transport.MESSAGE)
    reached = set(by_message.filter(name__in=names).values_list("name", flat=True))
    routes = list(Route.objects.all()) if reached else []
    return [
        command_type(step.participant, action)
        for step in definition.steps
        for action in (step.action, step.compensation)
        if action and step.participant in reached and not takers(routes, step.participant, action)
    ]


def pause_participant(participant: Participant, *, actor: Actor, reason: str) -> bool:
    """Let no step of it start until it is resumed; say whether that changed anything."""
    with transaction.atomic():
        changed = Participant.objects.filter(pk=participant.pk, paused_at=None).update(
            paused_at=Now(), paused_by=name_of(actor), pause_reason=reason
        )
        if changed:
            log_verb(actor, [participant], "pause", reason)
    return bool(changed)


def resume_participant(participant: Participant, *, actor: Actor, reason: str = "") -> bool:
    """Let its steps start again; say whether that changed anything."""
    with transaction.atomic():
        changed = Participant.objects.filter(pk=participant.pk, paused_at__isnull=False).update(
            paused_at=None, paused_by="", pause_reason=""
        )
        if changed:
            log_verb(actor, [participant], "resume", reason)
    return bool(changed)
