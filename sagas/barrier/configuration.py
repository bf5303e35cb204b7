"""The settings that a service may give the barrier, and their defaults."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

# For so long an answered call is remembered.
KEEP_DAYS = 90.0
# After this time no attempt comes any more, an operator's retry included.
LONGEST_RETRY_DAYS = 30.0
MAX_ANSWER_BYTES = 65_536


def keep_for() -> timedelta:
    return timedelta(days=float(getattr(settings, "SAGAS_BARRIER_KEEP_DAYS", KEEP_DAYS)))


def longest_retry() -> timedelta:
    days = getattr(settings, "SAGAS_BARRIER_LONGEST_RETRY_DAYS", LONGEST_RETRY_DAYS)
    return timedelta(days=float(days))


def max_answer_bytes() -> int:
    return int(getattr(settings, "SAGAS_BARRIER_MAX_ANSWER_BYTES", MAX_ANSWER_BYTES))


def wrong_with_retention() -> str:
    """Return what is wrong with the retention, or nothing."""
    try:
        kept, needed = keep_for(), longest_retry()
    except (TypeError, ValueError, OverflowError) as error:
        return f"The barrier's retention is set to what is no number of days: {error}"
    if kept < needed or needed <= timedelta():
        return (
            f"SAGAS_BARRIER_KEEP_DAYS is {kept / timedelta(days=1):g}, but a retry may come after "
            f"{needed / timedelta(days=1):g} days (SAGAS_BARRIER_LONGEST_RETRY_DAYS): its call "
            "would be forgotten by then, and done a second time."
        )
    return ""
