"""Errors as they are stored: capped, printable, and without passwords of addresses."""

from __future__ import annotations

import re
import traceback

MAX_TEXT_BYTES = 8 * 1024
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]+@")


def clean_text(text: str) -> str:
    """Return text that PostgreSQL can hold: at most 8 KiB, no NUL, no password of an address."""
    text = _PASSWORD.sub(r"\1:***@", text).replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode(errors="replace")[:MAX_TEXT_BYTES].decode(errors="ignore")


def describe(error: BaseException) -> dict[str, str]:
    """Return {"error_class", "message", "trace"} of an error."""
    return {
        "error_class": type(error).__name__[:200],
        "message": clean_text(str(error)),
        "trace": clean_text("".join(traceback.format_exception(error, limit=-5))),
    }
