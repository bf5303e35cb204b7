"""Secrets of participants: from the environment into a request's headers, and nowhere else.

A description names them: `${env:SAGADESK_PARTICIPANT_SECRET_PAYMENT__KEY}` is a secret of the
participant Payment, which no other can name, however it is described. Where
`SAGADESK_SECRET_FOR_{rest of the name}` is set, it lists others that may use the secret too, or the
addresses to which alone it may go. No other variable can be named at all, so that whoever edits
participants reads nothing of this installation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.conf import settings
from urllib3.exceptions import LocationParseError

from sagas.participants.addresses import begins_with_one_of

REDACTED = "[secret]"
# In a variable's name, between the participant and the rest; a name brought into the form of
# variables has no two underscores together.
_BETWEEN = "__"
_NO_LETTER = re.compile(r"[\W_]+")
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Holder(NamedTuple):
    """Who wants to use a secret: a participant, and where its calls go."""

    participant: str
    address: str


class Grant(NamedTuple):
    """Who may use a secret. Without participants, whoever is called at one of the addresses."""

    name: str
    # As the owner is written in the variable's name; "" for none.
    owner: str
    others: tuple[str, ...]
    addresses: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> Grant:
        short = short_of(name)
        owner, between, rest = short.partition(_BETWEEN)
        listed = settings.SAGAS_SECRET_GRANTS.get(short, ())
        return cls(
            name,
            owner if between and rest else "",
            tuple(entry for entry in listed if "://" not in entry),
            tuple(entry for entry in listed if "://" in entry),
        )

    @property
    def participants(self) -> tuple[str, ...]:
        return tuple(filter(plain_name, (self.owner, *self.others)))

    def problem_for(self, holder: Holder) -> str:
        """Return why this participant may not use the secret, and the cure; "" if it may."""
        setting = settings.SAGAS_SECRET_GRANT_PREFIX + short_of(self.name)
        if not self.participants and not self.addresses:
            listing = f"list its participants, or the addresses it may go to, in {setting}"
            if not _as_variable(holder.participant):
                return f"names {self.name}, which is nobody's. To use it, {listing}"
            rest = short_of(self.name).replace(_BETWEEN, "_").strip("_")
            own = example_of(holder.participant, rest)
            return f"names {self.name}, which is nobody's. Rename it to {own}, or {listing}"
        allowed = {plain_name(name) for name in self.participants}
        if allowed and plain_name(holder.participant) not in allowed:
            return (
                f"names {self.name}, which only {' and '.join(self.participants)} may use. Name a "
                f"secret of {holder.participant} itself, or list {holder.participant} in {setting}"
            )
        if self.addresses and not _goes_to_one_of(self.addresses, holder.address):
            return (
                f"names {self.name}, which may only go to {' and '.join(self.addresses)}, and not "
                f"to {holder.address or 'no address'}. Correct the participant's address, or list "
                f"it in {setting}"
            )
        return ""


def short_of(name: str) -> str:
    """Return what a secret's variable is called after the common beginning."""
    return name.removeprefix(settings.SAGAS_SECRET_PREFIX)


def plain_name(name: str) -> str:
    """Return a participant's name as it is compared: PaymentService is PAYMENT_SERVICE."""
    return _NO_LETTER.sub("", name).upper()


def check_use(name: str, holder: Holder) -> None:
    """Refuse a variable that is no secret of this participant. Raises ValueError."""
    prefix = settings.SAGAS_SECRET_PREFIX
    if not name.startswith(prefix) or name == prefix:
        raise ValueError(f"names the variable {name!r}; only those that begin with {prefix} serve")
    if problem := Grant.of(name).problem_for(holder):
        raise ValueError(problem)


def problem_of(name: str) -> str:
    """Say what is wrong with a secret, never what it is; "" for one that can be sent."""
    secret = settings.SAGAS_SECRETS.get(name, "")
    if not secret:
        return f"the variable {name} is not set in this process"
    if not secret.isascii() or not secret.isprintable():
        return f"the variable {name} holds more than one line of printable ASCII"
    return ""


def example_of(participant: str, rest: str = "KEY") -> str:
    """Return what a secret of this participant may be called."""
    owner = _as_variable(participant) or "PARTICIPANT"
    return f"{settings.SAGAS_SECRET_PREFIX}{owner}{_BETWEEN}{rest}"


def secrets_named_in(api: Any) -> set[str]:
    """Return the secrets that a description names, wherever it does."""
    text = json.dumps(api, ensure_ascii=False)
    return {name for name in settings.SAGAS_SECRETS if f"${{env:{name}}}" in text}


def redact(data: bytes, names: Iterable[str]) -> bytes:
    """Return what came in without the secrets that went out, should it repeat them."""
    for text in _written(names):
        data = data.replace(text.encode(), REDACTED.encode())
    return data


def redact_json(data: Any, names: Iterable[str]) -> Any:
    """Return the same JSON data without the secrets, in values and in names of fields."""
    texts = _written(names)

    def without(value: Any) -> Any:
        if isinstance(value, str):
            for text in texts:
                value = value.replace(text, REDACTED)
            return value
        if isinstance(value, dict):
            return {without(key): without(item) for key, item in value.items()}
        return [without(item) for item in value] if isinstance(value, list) else value

    return without(data) if texts else data


def _written(names: Iterable[str]) -> list[str]:
    """Return the secrets as they may stand in an answer; the longest first, whatever holds what."""
    secrets = {settings.SAGAS_SECRETS.get(name, "") for name in names} - {""}
    return sorted(secrets | {json.dumps(secret)[1:-1] for secret in secrets}, key=len, reverse=True)


def _as_variable(participant: str) -> str:
    """Return a participant's name as variables are written; "" if it has other letters."""
    words = _NO_LETTER.sub("_", _WORD_BEGINS.sub("_", participant)).strip("_").upper()
    return words if words.isascii() else ""


def _goes_to_one_of(addresses: tuple[str, ...], address: str) -> bool:
    try:
        return begins_with_one_of(address, addresses)
    except LocationParseError:
        return False
