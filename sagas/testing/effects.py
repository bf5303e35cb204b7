"""The ledger of what simulated participants have done, and what of it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sagas.barrier.keys import parse_key
from sagas.participants.calls import Call


@dataclass(eq=False)
class Effect:
    """What one call did: once, however often it is repeated under its key."""

    participant: str
    action: str
    step: str
    key: str
    saga: str
    business_key: str
    input: Any = None
    output: Any = None
    # How many calls there were under its key.
    calls: int = 1
    # The key of the call that undid it.
    undone_by: str = ""

    @property
    def stands(self) -> bool:
        return not self.undone_by

    def __repr__(self) -> str:
        return f"{self.participant}.{self.action}"


@dataclass
class Effects:
    """All effects by idempotency key, in the order in which they came about."""

    by_key: dict[str, Effect] = field(default_factory=dict)
    # Up to which generation steps were undone; what comes late is refused (docs/barrier.md).
    _undone: dict[tuple[str, str], int] = field(default_factory=dict)

    def do(self, participant: str, call: Call, output: Any = None) -> Effect | None:
        """Record an effect, once per key. None: it was undone before it came, and is refused."""
        known = self.by_key.get(call.idempotency_key)
        if known is not None:
            known.calls += 1
            return known
        if _generation(call.idempotency_key) <= self._undone.get(_place(call), 0):
            return None
        effect = self.by_key[call.idempotency_key] = Effect(
            participant=participant,
            action=call.action,
            step=call.step,
            key=call.idempotency_key,
            saga=str(call.saga_id),
            business_key=call.business_key,
            input=call.input,
            output=output,
        )
        return effect

    def undo(self, call: Call) -> None:
        """Undo what stands of a step, up to the action that the call names (`Call.undoes`).

        Undone a second time it stays undone.
        """
        place, undone = _place(call), _generation(call.undoes)
        for effect in self.by_key.values():
            if (effect.saga, effect.step) == place and _generation(effect.key) <= undone:
                effect.undone_by = effect.undone_by or call.idempotency_key
        self._undone[place] = max(undone, self._undone.get(place, 0))

    def standing(self) -> list[Effect]:
        return [effect for effect in self.by_key.values() if effect.stands]


def _place(call: Call) -> tuple[str, str]:
    return str(call.saga_id), call.step


def _generation(key: str) -> int:
    return parse_key(key).generation
