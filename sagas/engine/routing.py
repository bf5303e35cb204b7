"""Where a run goes: to a callable of this process, over HTTP, into the outbox, or nowhere yet."""

from __future__ import annotations

import logging
from typing import NamedTuple

from sagas import missing
from sagas.core.definition import Definition, Step
from sagas.core.moves import Run
from sagas.core.state import Direction
from sagas.engine.held import Held
from sagas.models import Participant
from sagas.participants import local
from sagas.participants.commands import command_type
from sagas.participants.descriptions import Described, DescriptionError
from sagas.participants.directory import Directory
from sagas.participants.limits import Policy
from sagas.participants.local import Action

logger = logging.getLogger(__name__)


class Here(NamedTuple):
    """Run by a callable of this process."""

    action: Action


class There(NamedTuple):
    """Sent to an HTTP service, by our own protocol unless its API is described."""

    address: str
    described: Described | None = None


class Posted(NamedTuple):
    """Put into the outbox, as a message to this participant."""

    participant: str


class Deferred(NamedTuple):
    """Not to be called now: paused, or unknown here."""

    reason: str


UNKNOWN = Deferred("unknown")
UNROUTED = Deferred("unrouted")
PAUSED = Deferred("paused")
MISSING = {UNKNOWN: missing.Kind.ACTION, UNROUTED: missing.Kind.ROUTE}
Way = Here | There | Posted | Deferred


class Routing:
    """Finds the participant of a run; what it knows is at most a second old."""

    def __init__(self) -> None:
        self._directory = Directory()
        self._known: dict[tuple[str, str, bool], Way] = {}
        self._policies: dict[str, Policy] = {}

    def refresh(self) -> bool:
        """Read the participants again if it is time; say whether that was done."""
        read = self._directory.refresh()
        if read:
            self._known.clear()
            self._policies.clear()
        return read

    def route(self, definition: Definition, run: Run) -> Way:
        """Return where the run goes. A callable needs no row; a row can pause it."""
        step = definition.steps[run.step]
        name = step.action if run.direction == Direction.FORWARD else step.compensation or ""
        known = (step.participant, name, run.probe)
        route = self._known.get(known)
        if route is None:
            route = self._known[known] = self._find(step, name, probe=run.probe)
            if isinstance(route, Deferred) and route in MISSING:
                wanted = step.probe if run.probe else name
                missing.note(missing.Missing(MISSING[route], step.participant, wanted))
        return route

    def _find(self, step: Step, name: str, *, probe: bool) -> Way:
        row = self._directory.find(step.participant)
        if row is not None and row.paused_at is not None:
            return PAUSED
        if row is not None and row.transport == Participant.Transport.HTTP:
            return self._there(row, name, probe=probe)
        if row is not None and row.transport == Participant.Transport.MESSAGE and not probe:
            return self._posted(row, name)
        name = step.probe if probe else name
        action = local.find(step.participant, name)
        if action is None:
            # At most once a second: what is found is remembered until the next refresh.
            logger.warning(
                "%s.%s is neither a participant's address nor a callable of this worker; its "
                "sagas wait. Add the participant, or its module to SAGADESK_MODULES.",
                step.participant,
                name,
            )
            return UNKNOWN
        return Here(action)

    def _there(self, row: Participant, name: str, *, probe: bool) -> There | Deferred:
        """Return how an action of an HTTP service is called; a bad description defers it."""
        if row.api is None:
            return There(row.address)
        try:
            return There(row.address, self._directory.described(row, name, probe=probe))
        except DescriptionError as error:
            logger.warning("%s.%s is not called, its sagas wait: %s", row.name, name, error)
            return UNKNOWN

    def _posted(self, row: Participant, name: str) -> Posted | Deferred:
        """Return how commands leave; one that no route takes would be lost."""
        routes = self._directory.takers(row, name)
        if not routes:
            logger.warning("No route takes %s; its sagas wait.", command_type(row.name, name))
            return UNROUTED
        # While it cannot leave, nobody has to reply to it in time.
        return PAUSED if all(route.paused_at for route in routes) else Posted(row.name)

    def policy(self, name: str) -> Policy:
        """Return what a participant's row allows."""
        policy = self._policies.get(name)
        if policy is None:
            row = self._directory.find(name)
            policy = self._policies[name] = Policy.of(row) if row else Policy()
        return policy

    def callable_of(self, held: Held, run: Run) -> Action:
        route = self.route(held.definition, run)
        if not isinstance(route, Here):
            raise TypeError(f"{held.id} is not performed here: {route}")
        return route.action

    def address_of(self, held: Held, run: Run) -> There:
        route = self.route(held.definition, run)
        if not isinstance(route, There):
            raise TypeError(f"{held.id} is not sent anywhere: {route}")
        return route
