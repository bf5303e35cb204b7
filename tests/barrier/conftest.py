"""A participant with a barrier, and the group names that stand for its effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import Group

from sagas.barrier import barrier
from sagas.barrier.exceptions import BusinessFailure


class Order(NamedTuple):
    """All that the barrier wants of a call."""

    idempotency_key: str
    # Callers of before do not send it.
    undoes: str = ""


class Stock:
    """Reserves and releases; `plays` says what the next runs do instead of succeeding."""

    def __init__(self) -> None:
        self.plays: list[Exception | Callable[[], Any]] = []
        self.reserve = barrier.action(self._reserve)
        self.release = barrier.compensation(self._release)
        self.runs: list[str] = []

    def _reserve(self, order: Order) -> dict[str, str]:
        self.runs.append(order.idempotency_key)
        Group.objects.create(name=f"reserved {order.idempotency_key}")
        self._play()
        return {"reserved": order.idempotency_key}

    def _release(self, order: Order) -> dict[str, str]:
        self.runs.append(order.idempotency_key)
        Group.objects.filter(name__startswith="reserved").delete()
        self._play()
        return {"released": order.idempotency_key}

    def _play(self) -> None:
        played = self.plays.pop(0) if self.plays else None
        if isinstance(played, Exception):
            raise played
        if played:
            played()

    def do(self, generation: int = 1) -> Any:
        return self.reserve(Order(key_of("do", generation)))

    def undo(self, generation: int = 1, *, of: int | None = None) -> Any:
        """Undo the action of that generation; None: of whichever."""
        undoes = key_of("do", of) if of else ""
        return self.release(Order(key_of("undo", generation), undoes))

    @property
    def effects(self) -> list[str]:
        names = Group.objects.filter(name__startswith="reserved")
        return sorted(
            name.removeprefix("reserved ") for name in names.values_list("name", flat=True)
        )


def key_of(verb: str, generation: int = 1) -> str:
    return f"saga-1/Reserve/{verb}" + (f"/{generation}" if generation > 1 else "")


def refusal_of(work: Callable[..., Any], *arguments: Any) -> BusinessFailure:
    with pytest.raises(BusinessFailure) as refused:
        work(*arguments)
    return refused.value


@pytest.fixture
def stock() -> Stock:
    return Stock()
