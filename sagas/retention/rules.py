"""Which rule counts for which sagas, and how operators change one."""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings
from django.db import transaction

from outbox.audit import Actor, log_verb
from sagas import catalogue
from sagas.core import definition as core
from sagas.exceptions import InvalidOrder
from sagas.models import Definition, RetentionRule

EVERY = "*"
DAY_S = 86_400
MOST_DAYS = 36_500


class Rule(NamedTuple):
    """What counts for ended sagas; `id` is None where it comes from the settings."""

    definition: str
    status: str
    keep_days: int
    action: str
    id: int | None = None


class Rules:
    """The rules as they are now: a definition's own, that of "*", or the settings'."""

    def __init__(self) -> None:
        rows = RetentionRule.objects.order_by("definition", "status")
        self.stored = [
            Rule(row.definition, row.status, row.keep_days, row.action, row.pk) for row in rows
        ]
        self._by_key = {(rule.definition, rule.status): rule for rule in self.stored}

    def find(self, definition: str, status: str) -> Rule:
        """Return the rule that counts for a definition's sagas of a status."""
        own = self._by_key.get((definition, status)) or self._by_key.get((EVERY, status))
        return own or Rule(
            EVERY, status, settings.SAGAS_KEEP_ENDED_DAYS, settings.SAGAS_ENDED_ACTION
        )

    def shown(self) -> list[Rule]:
        """Return every rule that counts somewhere: those of "*" first, set or not."""
        general = [self.find(EVERY, status) for status in RetentionRule.Status.values]
        return general + [rule for rule in self.stored if rule.definition != EVERY]


def longest_retry_s(definition: core.Definition) -> float:
    """Return for how long one call of a definition may be repeated under the same key.

    What recognises a repetition has to be kept for at least this long.
    """
    times = (
        step.timeout_s + max(step.retry.total_s, step.undo_retry.total_s)
        for step in definition.steps
    )
    return max(times, default=0.0)


def set_rule(rule: Rule, *, actor: Actor, reason: str) -> RetentionRule:
    """Set how long ended sagas of a definition, or of "*", are kept. Safe to call twice.

    Raises InvalidOrder for a definition that is not stored, and for a time that is shorter than
    the longest retry.
    """
    _check(rule, reason)
    with transaction.atomic():
        row, _created = RetentionRule.objects.update_or_create(
            definition=rule.definition,
            status=rule.status,
            defaults={"keep_days": rule.keep_days, "action": rule.action},
        )
        log_verb(actor, [row], "set", f"{rule.action} after {rule.keep_days} days: {reason}")
    return row


def remove_rule(row: RetentionRule, *, actor: Actor, reason: str) -> bool:
    """Remove a rule, so that a more general one counts again; say whether it was there."""
    with transaction.atomic():
        deleted, _by_model = RetentionRule.objects.filter(pk=row.pk).delete()
        if deleted:
            log_verb(actor, [row], "remove", reason)
    return bool(deleted)


def _check(rule: Rule, reason: str) -> None:
    if not reason.strip():
        raise InvalidOrder("Say why: every verb needs a reason.")
    if not 1 <= rule.keep_days <= MOST_DAYS:
        raise InvalidOrder(f"keep_days must be a number from 1 to {MOST_DAYS:,}.")
    if rule.status not in RetentionRule.Status or rule.action not in RetentionRule.Action:
        raise InvalidOrder("Rules are for sagas that have ended; they archive or drop them.")
    definitions = Definition.objects.all()
    if rule.definition != EVERY:
        definitions = definitions.filter(name=rule.definition)
    ids = set(definitions.values_list("pk", flat=True))
    if not ids and rule.definition != EVERY:
        raise InvalidOrder(f"There is no definition {rule.definition}.")
    longest = max(map(longest_retry_s, catalogue.readable(ids).values()), default=0.0)
    if rule.keep_days * DAY_S < longest:
        raise InvalidOrder(
            f"Calls of {rule.definition} may be repeated for {longest / DAY_S:.1f} days; "
            "keep its sagas for longer."
        )
