"""Why a verb was refused; nothing has been done then."""

from __future__ import annotations

from uuid import UUID


class LetterError(Exception):
    """Something about one dead letter that its operator can act on."""

    def __init__(self, letter_id: UUID, problem: str) -> None:
        super().__init__(problem)
        self.letter_id = letter_id


class LetterNotFound(LetterError):
    """There is no such dead letter."""

    def __init__(self, letter_id: UUID) -> None:
        super().__init__(letter_id, f"There is no dead letter {letter_id}.")


class LetterChanged(LetterError):
    """Someone or something was faster: it is not in the version that the operator saw."""

    def __init__(self, letter_id: UUID, *, seen: int, version: int, status: str) -> None:
        super().__init__(
            letter_id,
            f"The dead letter has changed since it was shown (version {seen}, now {version}); "
            f"it is {status}.",
        )
        self.seen = seen
        self.version = version
        self.status = status


class LetterSettled(LetterError):
    """It is not open: recovered or discarded, or being reprocessed right now."""

    def __init__(self, letter_id: UUID, *, status: str) -> None:
        super().__init__(letter_id, f"The dead letter is not open; it is {status}.")
        self.status = status


class ReasonRequired(Exception):
    """The verb cannot be undone, so it takes a reason."""

    def __init__(self, verb: str) -> None:
        super().__init__(f"To {verb} a dead letter takes a reason.")
        self.verb = verb
