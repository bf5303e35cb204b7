"""Local callables that write what they do into the engine's own database (SAGADESK_MODULES).

The table forbids nothing: what is done twice is seen. Some calls are refused or go wrong, always
the same ones, and always after they have written: that must not stay.
"""

from __future__ import annotations

import random
from typing import Any

from django.db import connection

from sagas.participants.calls import BusinessFailure, Call
from sagas.participants.local import register

PARTICIPANT = "Warehouse"
TABLE = """
CREATE TABLE chaos_effects (
    id bigserial PRIMARY KEY, saga_id uuid NOT NULL, step text NOT NULL, direction text NOT NULL,
    key text NOT NULL)
"""
# How often an action says no for good, and how often an attempt goes wrong.
REFUSED = {"pick": 0.15, "pack": 0.05, "putBack": 0.1}
BROKEN = 0.03


def make_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(TABLE)


def perform(call: Call) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO chaos_effects (saga_id, step, direction, key) VALUES (%s, %s, %s, %s)",
            [call.saga_id, call.step, call.direction.value, call.idempotency_key],
        )
    # An operator's retry has another key, and another fate.
    _, _, generation = call.idempotency_key.partition("/")
    fate = f"{call.business_key} {generation}"
    if random.Random(fate).random() < REFUSED.get(call.action, 0.0):
        raise BusinessFailure(f"{call.action} is not possible.")
    if random.Random(f"{fate} {call.attempt}").random() < BROKEN:
        raise RuntimeError(f"{call.action} went wrong.")
    return {"did": call.action}


for name in ("pick", "putBack", "pack", "unpack"):
    register(PARTICIPANT, name, perform)
