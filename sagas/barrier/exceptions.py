"""What a participant raises, and what the barrier raises for it."""

from __future__ import annotations

from typing import Any


class BusinessFailure(Exception):
    """Raised to say no for good: nothing was done, and the call is not tried again.

    `status` is what an HTTP participant answers with; `answer` its body, if it is another than
    {"error": {"code", "message"}}.
    """

    def __init__(
        self, message: str, *, code: str = "", status: int = 409, answer: Any = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self._answer = answer

    @property
    def answer(self) -> Any:
        if self._answer is not None:
            return self._answer
        return {"error": {"code": self.code or type(self).__name__, "message": str(self)}}


class InvalidKey(ValueError):
    """The idempotency key is missing, too long, or belongs to the other direction."""
