"""Secrets of participants: from the environment into a request's headers, and nowhere else.

A description names them, `${env:SAGADESK_PARTICIPANT_SECRET_STRIPE}`; no other variable can be
named, so that whoever edits participants reads nothing of this installation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.conf import settings

REDACTED = "[secret]"


def check_name(name: str) -> None:
    """Refuse a variable that is no participant's secret. Raises ValueError."""
    prefix = settings.SAGAS_SECRET_PREFIX
    if not name.startswith(prefix) or name == prefix:
        raise ValueError(f"names the variable {name!r}; only those that begin with {prefix} serve")


def problem_of(name: str) -> str:
    """Say what is wrong with a secret, never what it is; "" for one that can be sent."""
    secret = settings.SAGAS_SECRETS.get(name, "")
    if not secret:
        return f"the variable {name} is not set in this process"
    if not secret.isascii() or not secret.isprintable():
        return f"the variable {name} holds more than one line of printable ASCII"
    return ""


def redact(data: bytes, names: Iterable[str]) -> bytes:
    """Return what came in without the secrets that went out, should it repeat them."""
    for name in names:
        secret = settings.SAGAS_SECRETS.get(name, "")
        for text in {secret, json.dumps(secret)[1:-1]} - {""}:
            data = data.replace(text.encode(), REDACTED.encode())
    return data
