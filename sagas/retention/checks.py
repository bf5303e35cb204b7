"""Checks at the start: nothing that recognises a repetition goes before the last repetition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import ProgrammingError, transaction

from sagas import catalogue
from sagas.models import Definition, RetentionRule
from sagas.retention.rules import DAY_S, Rules, longest_retry_s


@register(Tags.compatibility)
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What may come again has to find the key that it came with the first time."""
    longer = {
        "SAGADESK_KEEP_LETTERS_DAYS": settings.DLQ_KEEP_SETTLED_DAYS,
        "SAGADESK_LONGEST_RETRY_DAYS": settings.SAGAS_BARRIER_LONGEST_RETRY_DAYS,
    }
    return [
        Error(
            f"SAGADESK_KEEP_KEYS_DAYS is shorter than {name}: what is sent again so late could "
            "start its saga twice.",
            hint="Keep the keys at least as long.",
            id="sagas.E001",
        )
        for name, days in longer.items()
        if days > settings.SAGAS_KEEP_KEYS_DAYS
    ]


@register(Tags.database)
def check_definitions(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Run by `migrate` and by `check --database default`, which have a database to ask."""
    try:
        with transaction.atomic():
            return list(_too_short()) if kwargs.get("databases") else []
    except ProgrammingError:  # the tables are still to be migrated
        return []


def _too_short() -> Iterator[CheckMessage]:
    rules = Rules()
    ids = set(Definition.objects.values_list("pk", flat=True))
    for definition in catalogue.readable(ids).values():
        longest = longest_retry_s(definition) / DAY_S
        kept = {
            f"SAGADESK_KEEP_KEYS_DAYS is {settings.SAGAS_KEEP_KEYS_DAYS}": (
                settings.SAGAS_KEEP_KEYS_DAYS
            )
        }
        for status in RetentionRule.Status.values:
            rule = rules.find(definition.name, status)
            kept[f"{status} sagas of it are kept for {rule.keep_days} days"] = rule.keep_days
        for words, days in kept.items():
            if days < longest:
                yield Error(
                    f"Calls of {definition.name} version {definition.version} may be repeated "
                    f"for {longest:.1f} days, but {words}.",
                    hint="Keep them for longer, or retry for a shorter time.",
                    id="sagas.E002",
                )
