"""Failures on demand, the same ones every time.

Whether a call fails follows from a hash of the seed, the business key, the action and, where it
may pass, the attempt: the same bookings fail in every run. As JSON:

    {"seed": "demo",
     "rules": {"PaymentService/chargeCard": {"business": 0.08, "unavailable": 0.05},
               "PaymentService/refundPayment": {"broken": 0.2, "broken_attempts": 5},
               "HotelService/*": {"lost": 0.02, "delay_ms": [5, 40]},
               "*": {"delay_ms": {"mean": 20}}},
     "scripted": [{"business_key": "T-7", "action": "chargeCard", "fail": "lost", "attempts": 2}]}
"""

from __future__ import annotations

import math
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple


class Kind(StrEnum):
    # Refused for a reason of the trade; remembered as the first answer.
    BUSINESS = "business"
    # 503 before anything happened; the next attempt may get through.
    UNAVAILABLE = "unavailable"
    # The effect is there, the answer is not: the connection closes without one.
    LOST = "lost"
    # 503 again and again, for `broken_attempts` or until the rule is taken away.
    BROKEN = "broken"


class Rule(NamedTuple):
    """How often each kind of failure befalls one action (0 to 1), and how slow the action is."""

    business: float = 0.0
    unavailable: float = 0.0
    lost: float = 0.0
    broken: float = 0.0
    # None: until the rule is taken away.
    broken_attempts: int | None = None
    retry_after_s: float | None = None
    # Fixed; [low, high], evenly spread; or {"mean": m}, exponential, so that a few are very slow.
    delay_ms: float | list[float] | dict[str, float] = 0.0


class Scripted(NamedTuple):
    """One failure that must happen. Without `attempts`: once, or always if it is no passing one."""

    business_key: str
    action: str
    fail: Kind
    attempts: int | None = None

    def strikes(self, attempt: int) -> bool:
        passing = self.fail in (Kind.UNAVAILABLE, Kind.LOST)
        limit = self.attempts or (1 if passing else None)
        return limit is None or attempt <= limit


NO_RULE = Rule()


class Faults:
    """The failures a process of participants has been told to show."""

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        self.clear()
        self.update(data or {})

    def clear(self) -> None:
        self.seed = ""
        self.rules: dict[str, Rule] = {}
        self.scripted: dict[tuple[str, str], Scripted] = {}

    def update(self, data: dict[str, Any]) -> None:
        """Replace what `data` names: single rules ({} ends one), the whole script, the seed.

        Raises ValueError, having changed nothing, for anything it does not know.
        """
        if unknown := set(data) - {"seed", "rules", "scripted"}:
            raise ValueError(f"Unknown: {', '.join(sorted(unknown))}.")
        rules = {name: read_rule(name, rule) for name, rule in data.get("rules", {}).items()}
        script = [read_scripted(entry) for entry in data.get("scripted", [])]
        self.seed = str(data.get("seed", self.seed))
        self.rules = {n: r for n, r in (self.rules | rules).items() if r != NO_RULE}
        if "scripted" in data:
            self.scripted = {(entry.business_key, entry.action): entry for entry in script}

    def as_json(self) -> dict[str, Any]:
        rules = {
            name: {field: v for field, v in rule._asdict().items() if v != getattr(NO_RULE, field)}
            for name, rule in self.rules.items()
        }
        scripted = [entry._asdict() for entry in self.scripted.values()]
        return {"seed": self.seed, "rules": rules, "scripted": scripted}

    def rule(self, service: str, action: str) -> Rule:
        if not self.rules:
            return NO_RULE
        for name in (f"{service}/{action}", f"{service}/*", "*"):
            if name in self.rules:
                return self.rules[name]
        return NO_RULE

    def choose(
        self, rule: Rule, call: tuple[str, str], attempt: int, generation: int
    ) -> Kind | None:
        """Return what befalls this attempt of (business key, action), or None.

        `generation` tells an operator's fresh try after a refusal from the first one.
        """
        scripted = self.scripted.get(call)
        if scripted and scripted.strikes(attempt):
            return scripted.fail
        if rule is NO_RULE:
            return None
        still_broken = rule.broken_attempts is None or attempt <= rule.broken_attempts
        if still_broken and self._draw(Kind.BROKEN, *call) < rule.broken:
            return Kind.BROKEN
        if self._draw(Kind.UNAVAILABLE, *call, attempt) < rule.unavailable:
            return Kind.UNAVAILABLE
        if self._draw(Kind.BUSINESS, *call, generation) < rule.business:
            return Kind.BUSINESS
        if self._draw(Kind.LOST, *call, attempt) < rule.lost:
            return Kind.LOST
        return None

    def delay_s(self, rule: Rule, call: tuple[str, str], attempt: int) -> float:
        """Return how long this attempt takes before anything happens."""
        delay = rule.delay_ms
        if isinstance(delay, int | float):
            return delay / 1000
        drawn = self._draw("delay", *call, attempt)
        if isinstance(delay, list):
            low, high = delay
            return (low + (high - low) * drawn) / 1000
        return -delay["mean"] * math.log(1 - drawn) / 1000

    def _draw(self, *parts: object) -> float:
        """Return a number in [0, 1) that the parts and the seed alone decide."""
        text = "\x00".join([self.seed, *map(str, parts)])
        # 53 bits, all that a float holds: with 64 the largest would round up to 1.
        return (int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 11) / 2**53


def read_rule(name: str, data: dict[str, Any]) -> Rule:
    """Return the rule that `data` describes. Raises ValueError with the rule's name."""
    try:
        rule = Rule(**data)
    except TypeError:
        raise ValueError(f"{name}: a rule has {', '.join(Rule._fields)}.") from None
    for kind in Kind:
        rate = getattr(rule, kind)
        if not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ValueError(f"{name}: {kind} is a rate between 0 and 1.")
    for field in ("broken_attempts", "retry_after_s"):
        if not isinstance(getattr(rule, field), int | float | None):
            raise ValueError(f"{name}: {field} is a number.")
    match rule.delay_ms:
        case int() | float() | [int() | float(), int() | float()] | {"mean": int() | float()}:
            return rule
    raise ValueError(f'{name}: delay_ms is a number, [low, high] or {{"mean": number}}.')


def read_scripted(data: dict[str, Any]) -> Scripted:
    """Return the scripted failure that `data` describes. Raises ValueError."""
    try:
        return Scripted(**(data | {"fail": Kind(data["fail"])}))
    except (TypeError, KeyError, ValueError):
        fields, kinds = ", ".join(Scripted._fields), ", ".join(Kind)
        raise ValueError(f"A scripted failure has {fields}; fail is one of {kinds}.") from None
