"""Retry policies as people write them: `none`, `fixed(3, 10s)`, `exponentialBackoff(3)`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sagas.core.definition import NO_RETRY, RetryPolicy
from sagas.definitions.durations import read_duration
from sagas.definitions.wording import quoted, suggestion

DEFAULTS = RetryPolicy()

_POLICY = re.compile(r"(\w+)\s*(?:\((.*)\))?", re.ASCII | re.DOTALL)
_WHOLE_NUMBER = re.compile(r"[-+]?\d{1,9}", re.ASCII)
_NUMBER = re.compile(r"[-+]?\d{1,9}(\.\d{1,9})?", re.ASCII)


def exponential(
    attempts: int,
    initial: float = DEFAULTS.initial_s,
    factor: float = DEFAULTS.factor,
    cap: float | None = None,
    total: float = DEFAULTS.total_s,
    jitter: bool = DEFAULTS.jitter,
) -> RetryPolicy:
    """Return a policy whose pauses grow by `factor` up to `cap`; durations in seconds.

    Without a cap it is 60 s, or `initial` where that is longer.
    """
    cap = max(DEFAULTS.cap_s, initial) if cap is None else cap
    return RetryPolicy(attempts, initial, float(factor), cap, total, jitter)


def fixed(
    attempts: int, delay: float, total: float | None = None, jitter: bool = False
) -> RetryPolicy:
    """Return a policy with the same pause after every attempt, in seconds.

    Whoever writes `fixed(10, 1m)` wants ten attempts. So without a total it is 5 min, or twice
    the sum of the pauses where that is longer, which leaves time for the calls themselves.
    """
    total = max(DEFAULTS.total_s, 2 * attempts * delay) if total is None else total
    return RetryPolicy(attempts, delay, 1.0, delay, total, jitter)


def read_policy(text: str) -> RetryPolicy:
    """Return the policy that a text such as `exponentialBackoff(3, cap=10s)` stands for.

    Raises ValueError.
    """
    match = _POLICY.fullmatch(text)
    name = match[1] if match else text
    if match and name.lower() == "none" and not (match[2] or "").strip():
        return NO_RETRY
    if match is None or name not in _PARAMETERS:
        # Only the name is compared: the arguments would drown it.
        near = suggestion(re.split(r"\W", text, maxsplit=1)[0], ["none", *_PARAMETERS])
        raise ValueError(f"{quoted(text)} is no retry policy; {near}")
    if match[2] is None:
        raise ValueError(f"{name} needs a number of attempts; write for example {_EXAMPLES[name]}")
    return _build(name, _read_arguments(name, match[2]))


def _build(name: str, arguments: dict[str, str]) -> RetryPolicy:
    values = {}
    for key, text in arguments.items():
        try:
            values[key] = ARGUMENT_READERS[key](text)
        except ValueError as error:
            raise ValueError(f"{key} of {name}: {error}") from None
    for required in ("attempts", "delay") if name == "fixed" else ("attempts",):
        if required not in values:
            raise ValueError(f"{name} needs {required}; write for example {_EXAMPLES[name]}")
    builder: Callable[..., RetryPolicy] = fixed if name == "fixed" else exponential
    return builder(**values)


def _read_arguments(policy: str, text: str) -> dict[str, str]:
    parameters = _PARAMETERS[policy]
    arguments: dict[str, str] = {}
    by_keyword = False
    for part in text.split(",") if text.strip() else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if equals:
            by_keyword = True
        elif by_keyword or len(arguments) == len(parameters):
            raise ValueError(f"{quoted(part.strip())} is out of place; {_usage(policy)}")
        else:
            key, value = parameters[len(arguments)], part.strip()
        if key not in parameters:
            raise ValueError(
                f"{policy} has no argument {quoted(key)}; {suggestion(key, parameters)}"
            )
        if key in arguments:
            raise ValueError(f"{key} is given twice; {_usage(policy)}")
        arguments[key] = value
    return arguments


def _usage(policy: str) -> str:
    return f"the order is {policy}({', '.join(_PARAMETERS[policy])})"


def _read_whole_number(text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text):
        raise ValueError(f"{quoted(text)} is no whole number; write for example 3")
    return int(text)


def _read_number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{quoted(text)} is no number; write for example 2 or 1.5")
    return float(text)


def _read_flag(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise ValueError(f"{quoted(text)} is neither true nor false") from None


ARGUMENT_READERS: dict[str, Callable[[str], Any]] = {
    "attempts": _read_whole_number,
    "delay": read_duration,
    "initial": read_duration,
    "factor": _read_number,
    "cap": read_duration,
    "total": read_duration,
    "jitter": _read_flag,
}
EXPONENTIAL_PARAMETERS = ("attempts", "initial", "factor", "cap", "total", "jitter")
_PARAMETERS = {
    "fixed": ("attempts", "delay", "total", "jitter"),
    "exponentialBackoff": EXPONENTIAL_PARAMETERS,
}
_EXAMPLES = {"fixed": "fixed(3, 10s)", "exponentialBackoff": "exponentialBackoff(3)"}
