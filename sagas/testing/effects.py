"""The ledger of what simulated participants have done, and what of it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
    # Steps that were undone before they were done; what comes late is refused (docs/barrier.md).
    _tombstones: set[tuple[str, str]] = field(default_factory=set)

    def do(self, participant: str, call: Call, output: Any = None) -> Effect | None:
        """Record an effect, once per key. None: it was undone before it came, and is refused."""
        known = self.by_key.get(call.idempotency_key)
        if known is not None:
            known.calls += 1
            return known
        if (str(call.saga_id), call.step) in self._tombstones:
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
        """Undo what stands of a step; undone a second time it stays undone."""
        saga = str(call.saga_id)
        own = [e for e in self.by_key.values() if (e.saga, e.step) == (saga, call.step)]
        for effect in own:
            effect.undone_by = effect.undone_by or call.idempotency_key
        if not own:
            self._tombstones.add((saga, call.step))

    def standing(self) -> list[Effect]:
        return [effect for effect in self.by_key.values() if effect.stands]
