"""What callers of the engine can act on."""

from __future__ import annotations

import uuid


class SagaError(Exception):
    """Base of everything the engine raises on purpose."""

    code = "saga_error"


class SagaNotFound(SagaError):
    code = "saga_not_found"

    def __init__(self, saga_id: object) -> None:
        super().__init__(f"There is no saga {saga_id}.")
        self.saga_id = saga_id


class DefinitionNotFound(SagaError):
    code = "definition_not_found"

    def __init__(self, name: str, version: int | None = None) -> None:
        wanted = name if version is None else f"{name} version {version}"
        super().__init__(f"There is no definition {wanted}. Load it with: manage.py saga load FILE")
        self.name = name
        self.version = version


class DefinitionChanged(SagaError):
    """A version that is stored already was declared again with other content."""

    code = "definition_changed"

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"{name} version {version} is stored already and differs. Versions never change: "
            "give the new one a higher version, or none to have it numbered."
        )
        self.name = name
        self.version = version


class DefinitionUnreadable(SagaError):
    """A newer release has written the definition; this one leaves its sagas alone."""

    code = "definition_unreadable"

    def __init__(self, name: str, version: int, why: str) -> None:
        super().__init__(
            f"{name} version {version} was written by a newer release, and this one cannot read "
            f"it: {why}"
        )
        self.name = name
        self.version = version
        self.why = why


class InvalidInput(SagaError):
    """The input or key of a start cannot be stored."""

    code = "invalid_input"


class InvalidSearch(SagaError):
    """A search names an attribute that no definition declares."""

    code = "invalid_search"


class IdempotencyConflict(SagaError):
    code = "idempotency_conflict"

    def __init__(self, idempotency_key: str, saga_id: uuid.UUID) -> None:
        super().__init__(
            f"Idempotency key {idempotency_key!r} has started saga {saga_id} already, with "
            "another definition or input. Use a new key for a new saga."
        )
        self.idempotency_key = idempotency_key
        self.saga_id = saga_id


class SignalRefused(SagaError):
    """No step of the saga can use the signal, or it cannot be stored."""

    code = "signal_refused"


class VersionConflict(SagaError):
    """Somebody or something was faster; nothing has been done."""

    code = "version_conflict"

    def __init__(self, saga_id: uuid.UUID, *, seen: int, found: int) -> None:
        super().__init__(
            f"Saga {saga_id} has changed since you looked at it (version {seen}, now {found}). "
            "Nothing was done. Look at it again."
        )
        self.saga_id = saga_id
        self.seen = seen
        self.found = found


class IllegalVerb(SagaError):
    """The saga is in no state for this verb; nothing has been done."""

    code = "illegal_verb"

    def __init__(self, saga_id: uuid.UUID, verb: str, why: str) -> None:
        super().__init__(why)
        self.saga_id = saga_id
        self.verb = verb
        self.why = why


class InvalidOrder(SagaError):
    """An operator's order lacks what its verb needs: a reason, evidence, a step."""

    code = "invalid_order"


class InvalidSchedule(SagaError):
    """A schedule cannot start anything as it is, or was to become."""

    code = "invalid_schedule"


class ScheduleNotFound(SagaError):
    code = "schedule_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no schedule {name}.")
        self.name = name


class CallbackRefused(SagaError):
    """A reply came to a signed address that does not let it in."""

    code = "callback_refused"


class CallbackExpired(CallbackRefused):
    code = "callback_expired"

    def __init__(self, days: int) -> None:
        super().__init__(
            f"This address was good for {days} days. Hand in the reply at /api/v1/replies/ with a "
            "token, or tell an operator."
        )


class AddressNotAllowed(SagaError):
    code = "address_not_allowed"

    def __init__(self, address: str) -> None:
        super().__init__(
            f"{address} is not on the list of allowed addresses. "
            "Add its beginning to SAGADESK_ALLOWED_ADDRESSES."
        )
        self.address = address
