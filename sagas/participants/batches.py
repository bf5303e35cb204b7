"""Callables that take the commands of many sagas at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sagas.participants.calls import Call

# A list of calls in, as many outputs or exceptions out, in the same order.
Function = Callable[[list[Call]], Sequence[Any]]


Item = TypeVar("Item")


class WrongLength(Exception):
    """The callable did not answer every command."""


class BatchAction:
    """A callable for up to `size` commands; called with one command it is like any other."""

    def __init__(self, function: Function, *, size: int) -> None:
        if size < 1:
            raise ValueError(f"A batch holds at least one command, not {size}.")
        self.size = size
        self._function = function

    def take(self, calls: list[Call]) -> list[Any]:
        """Return an output or an exception for each call. Raises WrongLength, or anything."""
        outcomes = list(self._function(calls))
        if len(outcomes) != len(calls):
            raise WrongLength(f"It got {len(calls)} commands and answered {len(outcomes)}.")
        return outcomes

    def __call__(self, call: Call) -> Any:
        """Take one command alone."""
        (outcome,) = self.take([call])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def in_batches(
    waiting: dict[BatchAction, list[Item]],
) -> Iterator[tuple[BatchAction, list[Item]]]:
    """Give each action what waits for it, in portions of its size."""
    for action, items in waiting.items():
        for start in range(0, len(items), action.size):
            yield action, items[start : start + action.size]
