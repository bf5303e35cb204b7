"""JSON as PostgreSQL can keep it: checked before it reaches a statement that many sagas share."""

from __future__ import annotations

import json.encoder
import re
from typing import Any


def _refuse(value: Any) -> Any:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


# What JSONEncoder builds anew at every call, which takes half of the time of a small value:
# no look for cycles (they end in a RecursionError), no spaces, keys in their order, no NaN.
_pieces_of = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, _refuse, json.encoder.encode_basestring, None, ":", ",", False, False, False
)


def encode(value: Any) -> str:
    """Return JSON text. Raises ValueError, TypeError or RecursionError for what is no JSON."""
    return "".join(_pieces_of(value, 0))


# jsonb holds no NUL. An even number of backslashes before it only looks like one.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class NotStorableError(ValueError):
    """The value is no JSON, or more of it than is allowed; the text says which."""


def encode_storable(value: Any, *, limit: int) -> str:
    """Return the value as JSON text of at most `limit` bytes. Raises NotStorableError."""
    try:
        text = encode(value)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise NotStorableError(f"is no JSON: {error}") from error
    if size > limit:
        raise NotStorableError(f"has {size:,} bytes; {limit:,} are allowed")
    if "\\u0000" in text and _NUL.search(text):
        raise NotStorableError("holds a NUL character, which cannot be stored")
    return text


def clean_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot hold: NUL and lone surrogates."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
