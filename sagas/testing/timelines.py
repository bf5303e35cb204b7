"""What a simulation has come to, as text: for whoever reads a failed test."""

from __future__ import annotations

from sagas.narrating import narrate
from sagas.testing.played import PlayedSaga
from sagas.testing.world import BEGAN, World


def timeline(world: World, first: PlayedSaga) -> str:
    """Return the journals of all sagas, the given one first, and what stands of their effects."""
    sagas = [first, *(saga for saga in world.sagas if saga is not first)]
    parts = [_journal(saga) for saga in sagas]
    standing = ", ".join(map(repr, world.participants.effects.standing())) or "nothing"
    in_air = ", ".join(f"{f.call.step} ({f.call.action})" for f in world.in_air)
    parts.append(f"stands: {standing}" + (f"; in the air: {in_air}" if in_air else ""))
    return "\n".join([*parts, *_locks(world)])


def _locks(world: World) -> list[str]:
    """Return a line for each lock: who holds it, and who waits for it, next one first."""
    keys = {saga.id: saga.business_key for saga in world.sagas}
    lines = []
    for name, holder in sorted(world.locks.holders.items()):
        waiting = ", ".join(keys[who] for lock, who in world.locks.queue if lock == name)
        lines.append(f"lock {name}: {keys[holder]}" + (f", then {waiting}" if waiting else ""))
    return lines


def _journal(saga: PlayedSaga) -> str:
    head = f"{saga.definition.name} {saga.business_key}: {saga.state.status}"
    return "\n".join([head, *map(str, narrate(saga.rows(), began=BEGAN))])
