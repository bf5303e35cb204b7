"""Signed addresses under which a participant hands in the reply to one call, without a login."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing

from sagas.exceptions import CallbackExpired, CallbackRefused
from sagas.participants.calls import Call

# Late replies count, too: a late success is undone.
LIFETIME = timedelta(days=7)
_SALT = "sagas.callback"


def callback_address(call: Call) -> str | None:
    """Return where the reply to this call may go; None when nobody knows our own address."""
    if not settings.SAGAS_PUBLIC_URL:
        return None
    return f"{settings.SAGAS_PUBLIC_URL}/api/v1/replies/{sign(call.idempotency_key, call.attempt)}/"


def sign(correlation_id: str, attempt: int) -> str:
    """Return the token of a call; its key names saga, step and direction."""
    return signing.dumps([correlation_id, attempt], salt=_SALT)


def read_token(token: str) -> dict[str, Any]:
    """Return the call that a token is for: {"correlation_id", "attempt"}.

    Raises CallbackExpired, or CallbackRefused for a token that is not ours.
    """
    try:
        correlation_id, attempt = signing.loads(token, salt=_SALT, max_age=LIFETIME)
    except signing.SignatureExpired:
        raise CallbackExpired(LIFETIME.days) from None
    except signing.BadSignature:
        text = "This address was not signed here, or not completely copied."
        raise CallbackRefused(text) from None
    return {"correlation_id": correlation_id, "attempt": attempt}


def complete(payload: Any, call: dict[str, Any]) -> Any:
    """Return the reply with the call it belongs to. Raises CallbackRefused if it names another.

    What is no reply at all stays as it is, and becomes a dead letter.
    """
    if not isinstance(payload, dict):
        return payload
    for name, value in call.items():
        if payload.get(name, value) != value:
            raise CallbackRefused(
                f"This address takes the reply to {call['correlation_id']}, attempt "
                f"{call['attempt']}; {name} names another call. Leave it out, or use that "
                "call's address."
            )
    return payload | call
