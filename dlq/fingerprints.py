"""Fingerprints: what belongs to one cause has the same one."""

from __future__ import annotations

import re
from hashlib import sha256

MAX_HEAD = 200

# What differs between two errors of one cause: identifiers, addresses, numbers, quoted values.
_VARIABLE = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|0x[0-9a-f]+|\b[0-9a-f]{16,}\b|\d+"
    r"|'[^']*'|\"[^\"]*\"",
    re.IGNORECASE,
)


def fingerprint(destination: str, error_class: str, error_message: str) -> str:
    """Return the SHA-256 of destination, error class and the first line without its variables."""
    head = _VARIABLE.sub("#", error_message.strip().partition("\n")[0])[:MAX_HEAD]
    return sha256("\x1f".join((destination, error_class, head)).encode()).hexdigest()
