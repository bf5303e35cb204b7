"""The values of a saga written in Python, which may have any type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sagas.core.definition import RetryPolicy
from sagas.definitions.durations import read_duration
from sagas.definitions.policies import read_policy
from sagas.definitions.wording import quoted

PRIORITIES = {"high": 10, "normal": 0, "low": -10}


def to_seconds(duration: object) -> float:
    """Return the seconds of a text such as "10s", or of a timedelta. Raises ValueError."""
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if not isinstance(duration, str):
        raise ValueError(f'{quoted(duration)} is no duration; write for example "10s"')
    return read_duration(duration)


def to_text(value: object) -> str:
    """Return a text that is not blank. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{quoted(value)} is no text; put it in quotes")
    if not value.strip():
        raise ValueError("is empty; write something or leave it out")
    return value


def to_version(value: object) -> int:
    """Return a version; 0 stands for one that is not given. Raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{quoted(value)} is no version; write a whole number from 1")
    return value


def to_action_name(action: object) -> str:
    """Return the name of an action, which is that of its function. Raises ValueError."""
    if isinstance(action, str):
        return to_text(action)
    function = action.__func__ if isinstance(action, staticmethod) else action
    name = getattr(function, "__name__", None)
    if not callable(function) or not isinstance(name, str):
        raise ValueError(f"{quoted(action)} is neither a name nor a function")
    if name == "<lambda>":
        raise ValueError("a lambda has no name to be called by; write a function")
    return name


def to_entries(value: object) -> list[str]:
    """Return the entries of a scenario's list. Raises ValueError."""
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of compensations")
    return [to_action_name(entry) for entry in value]


def to_policy(value: object) -> RetryPolicy:
    """Return a policy whose numbers have the types that YAML gives, so that specs agree.

    Raises ValueError.
    """
    if isinstance(value, str):
        return read_policy(value)
    if not isinstance(value, RetryPolicy):
        raise ValueError(
            f"{quoted(value)} is no retry policy; write for example exponential_backoff(3)"
        )
    if not isinstance(value.attempts, int):
        raise ValueError(f"{quoted(value.attempts)} attempts are no whole number")
    return value._replace(
        initial_s=float(value.initial_s),
        factor=float(value.factor),
        cap_s=float(value.cap_s),
        total_s=float(value.total_s),
    )


def to_texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list. Raises ValueError."""
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of texts")
    return tuple(map(to_text, value))


def to_expressions(value: object) -> dict[str, str]:
    """Return the expressions of a mapping, by field. Raises ValueError."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError("must be a mapping of at least one field")
    return {to_text(field): to_text(expression) for field, expression in value.items()}


def to_expression_or_mapping(value: object) -> str | dict[str, str]:
    """Return one expression, or those of a mapping. Raises ValueError."""
    return to_expressions(value) if isinstance(value, Mapping) else to_text(value)


def to_error_names(value: object) -> tuple[str, ...]:
    """Return the names of classes of errors, given as names or classes. Raises ValueError."""
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of classes of errors, or of their names")
    return tuple(item.__name__ if isinstance(item, type) else to_text(item) for item in value)


def to_saga_name(value: object) -> str:
    """Return the name of a definition, given as such or as its class. Raises ValueError."""
    definition = getattr(value, "definition", None)
    return to_text(definition().name if callable(definition) else value)


def to_priority(value: object) -> int:
    """Return a priority; higher ones come first. Raises ValueError."""
    if isinstance(value, str) and value in PRIORITIES:
        return PRIORITIES[value]
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{quoted(value)} is no priority; write high, normal, low, or -100 to 100")
    return value
