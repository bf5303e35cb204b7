"""Sagas written as Python classes; they give the same definitions as YAML does.

class TravelBooking(Saga, name="TravelBookingSaga", orchestrator="BookingService"):
    reserve_flight = step(
        "ReserveFlight",
        service="FlightService",
        action="reserveFlight",
        compensation="cancelFlightReservation",
        timeout="10s",
        retry=exponential_backoff(3),
    )

TravelBooking.definition()
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from sagas.core.definition import Definition, OnFailure, OnLocked
from sagas.definitions.class_reader import ClassReader
from sagas.definitions.declarations import (
    Action,
    DeclaredScenario,
    Duration,
    approval,
    caller,
    exponential_backoff,
    fixed,
    parallel,
    scenario,
    signal,
    step,
    sub_saga,
    timer,
)
from sagas.definitions.exceptions import DefinitionError
from sagas.definitions.validation import validate

__all__ = [
    "Saga",
    "approval",
    "declared_sagas",
    "exponential_backoff",
    "fixed",
    "parallel",
    "scenario",
    "signal",
    "step",
    "sub_saga",
    "timer",
]


class Saga:
    """Base of sagas written in Python: a subclass is read, checked and registered at once.

    Its steps are the attributes made by `step`, `sub_saga`, `timer`, `signal` and `approval`, in
    their order, unless `parallel` gives them another place. Raises DefinitionError with
    all problems of the class when it is defined.
    """

    scenarios: ClassVar[Sequence[DeclaredScenario]] = ()
    invariants: ClassVar[Sequence[str]] = ()

    _reader: ClassVar[ClassReader]
    _definition: ClassVar[Definition]

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        orchestrator: str = "",
        version: int = 0,
        description: str = "",
        timeout: Duration | None = None,
        on_failure: OnFailure | str = OnFailure.COMPENSATE,
        search: Mapping[str, str] = MappingProxyType({}),
        priority: str | int = "normal",
        locks: Sequence[str] = (),
        on_locked: OnLocked | str = OnLocked.WAIT,
    ) -> None:
        super().__init_subclass__()
        cls._reader = ClassReader(cls, caller())
        cls._definition = cls._reader.read(
            name=cls.__name__ if name is None else name,
            orchestrator=orchestrator,
            version=version,
            description=description,
            timeout=timeout,
            on_failure=on_failure,
            search=search,
            priority=priority,
            locks=locks,
            on_locked=on_locked,
        )
        _register(cls)

    @classmethod
    def definition(cls, *, participants: Collection[str] | None = None) -> Definition:
        """Return what the class defines.

        Where the names of the participants are given, raises DefinitionError if a step's
        service is none of them.
        """
        if participants is not None:
            validate(cls._definition, participants=participants, locate=cls._reader.report.locate)
        return cls._definition

    @classmethod
    def local_actions(cls) -> dict[tuple[str, str], Action]:
        """Return the callables of the class by participant and action."""
        return dict(cls._reader.local_actions)


_declared: dict[str, type[Saga]] = {}


def declared_sagas() -> Mapping[str, type[Saga]]:
    """Return all saga classes by the name of their definition."""
    return MappingProxyType(_declared)


def _register(cls: type[Saga]) -> None:
    """Make a class known by its name. A module that is loaded again replaces its classes."""
    name = cls.definition().name
    known = _declared.setdefault(name, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        place = cls._reader.report.locate(("name",))
        other = f"{known.__module__}.{known.__qualname__}"
        raise DefinitionError.at(place, f"{name} is already the name of {other}; choose another")
    _declared[name] = cls
