"""How an existing API is called: what the `api` field of a participant's row says.

    {"headers": {name: template}, "idempotency_header": name or null,
     "actions": {name: {"method", "path": template, "query": {name: expression},
                        "headers": {name: template}, "idempotency_header",
                        "json" or "form": expression or {name: expression},
                        "results": [{"status": 409 or "2xx" or "400-499" or a list of them,
                                     "when": expression, "outcome", "in_doubt"}],
                        "output": expression, "error": expression,
                        "probe": {"path", "query", "headers", "results", "output", "error"}}}}

docs/participants.md explains it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from sagas.core.expressions import CompiledExpression
from sagas.definitions.wording import quoted, shown, suggestion
from sagas.participants.secrets import Holder, example_of
from sagas.participants.templates import Template, read_expression, read_template

T = TypeVar("T")

# What expressions may read, of a call and besides that of its answer.
CALL_FIELDS = frozenset(
    {
        "input",
        "outputs",
        "saga_id",
        "business_key",
        "definition",
        "step",
        "action",
        "attempt",
        "direction",
        "idempotency_key",
        "idempotency_uuid",
        "undoes",
        "callback",
    }
)
ANSWER_FIELDS = CALL_FIELDS | {"status", "headers", "body"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OUTCOMES = ("succeeded", "accepted", "refused", "retry", "unknown")
PROBE_OUTCOMES = ("succeeded", "refused", "absent", "unknown")
IDEMPOTENCY_HEADER = "Idempotency-Key"
MOST_PROBLEMS = 20

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# These say where a request goes and where it ends; that is not for a description.
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "te", "upgrade"}
_SECRET_HEADER = re.compile(r"authorization|cookie|token|secret|password|api-?key", re.IGNORECASE)
_STATUS = re.compile(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?")
_ACTION_ONLY = ("method", "json", "form", "idempotency_header", "probe")
_REQUEST_FIELDS = ("path", "query", "headers", "results", "output", "error")


class DescriptionError(ValueError):
    """The description cannot be used; each problem says where it is and how to mend it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Rule(NamedTuple):
    """What an answer means. Without statuses any fits; without `when` every body does."""

    place: str
    outcome: str
    statuses: tuple[range, ...] = ()
    when: CompiledExpression | None = None
    in_doubt: bool | None = None


class Described(NamedTuple):
    """How one action is called. `place` is where that is written, such as actions.refund."""

    place: str
    method: str
    path: Template
    query: dict[str, CompiledExpression]
    headers: dict[str, Template]
    idempotency_header: str | None
    # Of "json" or "form": an expression, or lists and objects of expressions.
    body: Any
    body_kind: str
    rules: tuple[Rule, ...]
    output: CompiledExpression | None
    error: CompiledExpression | None
    probe: Described | None = None
    is_probe: bool = False

    @property
    def secrets(self) -> frozenset[str]:
        own = frozenset[str]().union(*(header.secrets for header in self.headers.values()))
        return own | self.probe.secrets if self.probe else own


def read_description(data: Any, holder: Holder) -> dict[str, Described]:
    """Return how each action of the holder is called.

    Raises DescriptionError with every problem, such as a secret that is not the holder's.
    """
    problems: list[str] = []
    fields = ("headers", "idempotency_header", "actions")
    top = _Section(_Findings(problems, holder), "", data, fields)
    headers = _read_headers(top)
    default: str | None = IDEMPOTENCY_HEADER
    idempotency_header = top.read("idempotency_header", _header_or_none, default)
    described = {}
    for name, action in top.mapping("actions", required=True).items():
        place = f"actions.{shown(name)}"
        section = top.inner(place, action, (*_ACTION_ONLY, *_REQUEST_FIELDS))
        described[name] = _read_action(section, headers, idempotency_header)
    if problems:
        raise DescriptionError(problems[:MOST_PROBLEMS])
    return described


class _Findings(NamedTuple):
    """What is wrong so far with whose description."""

    problems: list[str]
    holder: Holder


class _Section:
    """One object of the description: reads its fields and notes what is wrong with them."""

    def __init__(self, findings: _Findings, place: str, data: Any, known: tuple[str, ...]) -> None:
        self.findings = findings
        self.place = place
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}
        if not isinstance(data, dict):
            findings.problems.append(f"{place or 'It'}: must be an object with {', '.join(known)}.")
        for name in self.data.keys() - set(known):
            self.fail(name, f"is no field; {suggestion(name, known)}")

    def inner(self, place: str, data: Any, known: tuple[str, ...]) -> _Section:
        return _Section(self.findings, place, data, known)

    def at(self, name: str) -> str:
        return f"{self.place}.{shown(name)}" if self.place else shown(name)

    def fail(self, name: str, message: str) -> None:
        self.findings.problems.append(f"{self.at(name)}: {message.rstrip('.')}.")

    def read(self, name: str, convert: Callable[[Any], T], default: T) -> T:
        """Return what a field stands for; note a ValueError and return the default."""
        if name not in self.data:
            return default
        try:
            return convert(self.data[name])
        except ValueError as error:
            self.fail(name, str(error))
            return default

    def mapping(self, name: str, *, required: bool = False) -> dict[str, Any]:
        value = self.data.get(name, {})
        if not isinstance(value, dict) or (required and not value):
            least = " with at least one field" if required else ""
            self.fail(name, f"must be an object{least}")
            return {}
        return value

    def each(self, name: str, convert: Callable[[Any], T]) -> dict[str, T]:
        """Return what the fields of an object stand for, without those that cannot be read."""
        values = {}
        for key, value in self.mapping(name).items():
            try:
                values[key] = convert(value)
            except ValueError as error:
                self.fail(f"{name}.{shown(key)}", str(error))
        return values


def _read_action(
    section: _Section, headers: Mapping[str, Template], idempotency_header: str | None
) -> Described:
    method = section.read("method", _one_of(METHODS), "POST")
    body_kind = "form" if "form" in section.data else "json" if "json" in section.data else ""
    if body_kind and (method == "GET" or {"form", "json"} <= section.data.keys()):
        section.fail(body_kind, "does not go with GET, nor with another body; remove one of them")
    own = _read_request(section, OUTCOMES, dict(headers))._replace(
        method=method,
        idempotency_header=section.read("idempotency_header", _header_or_none, idempotency_header),
        body=section.read(body_kind, _read_body, None),
        body_kind=body_kind,
    )
    if "probe" not in section.data:
        return own
    probe = section.inner(section.at("probe"), section.data["probe"], _REQUEST_FIELDS)
    described = _read_request(probe, PROBE_OUTCOMES, dict(headers))
    # What a probe finds usually looks like what the action returned.
    probing = described._replace(is_probe=True, output=described.output or own.output)
    return own._replace(probe=probing)


def _read_request(
    section: _Section, outcomes: tuple[str, ...], headers: dict[str, Template]
) -> Described:
    def expression(text: Any) -> CompiledExpression:
        return read_expression(text, CALL_FIELDS)

    def of_answer(text: Any) -> CompiledExpression | None:
        return read_expression(text, ANSWER_FIELDS)

    if "path" not in section.data:
        section.fail("path", 'is missing; write for example "/v1/charges/{input.charge_id}"')
    return Described(
        place=section.place,
        method="GET",
        path=section.read("path", _read_path, Template("", ())),
        query=section.each("query", expression),
        headers=_with_own(headers, _read_headers(section)),
        idempotency_header=None,
        body=None,
        body_kind="",
        rules=_read_rules(section, outcomes),
        output=section.read("output", of_answer, None),
        error=section.read("error", of_answer, None),
    )


def _read_path(text: Any) -> Template:
    template = read_template(text, CALL_FIELDS)
    first = template.parts[0] if template.parts else "/"
    if not isinstance(first, str) or not first.startswith("/"):
        raise ValueError("must begin with a slash; it is added to the participant's address")
    if any(isinstance(part, str) and ("?" in part or "#" in part) for part in template.parts):
        raise ValueError('has a ? or #; what comes after it belongs under "query"')
    return template


def _read_body(value: Any) -> Any:
    """Return the same lists and objects with their texts as expressions."""
    if isinstance(value, str):
        return read_expression(value, CALL_FIELDS)
    if isinstance(value, dict):
        return {key: _at(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_at(str(index), item) for index, item in enumerate(value)]
    return value


def _at(key: str, value: Any) -> Any:
    try:
        return _read_body(value)
    except ValueError as error:
        raise ValueError(f"in {shown(key)}: {error}") from error


def _read_headers(section: _Section) -> dict[str, Template]:
    """Return the headers of a section by name, those that cannot be read left out."""

    holder = section.findings.holder

    def template(value: Any) -> Template:
        return read_template(value, CALL_FIELDS, holder=holder)

    headers = section.each("headers", template)
    for name, value in headers.items():
        try:
            _header_name(name)
        except ValueError as error:
            section.fail(f"headers.{name}", str(error))
        if value.is_fixed and _SECRET_HEADER.search(name):
            section.fail(
                f"headers.{name}",
                "has its secret written out; put it into a variable of the environment and "
                f"write ${{env:{example_of(holder.participant)}}}",
            )
    return headers


def _with_own(shared: dict[str, Template], own: dict[str, Template]) -> dict[str, Template]:
    names = {name.lower() for name in own}
    return {name: value for name, value in shared.items() if name.lower() not in names} | own


def _header_name(text: Any) -> str:
    if not isinstance(text, str) or not _HEADER_NAME.fullmatch(text):
        raise ValueError(f"{quoted(text)} is no name of a header")
    if text.lower() in _OWN_HEADERS:
        raise ValueError("is set by the call itself; remove it")
    return text


def _header_or_none(text: Any) -> str | None:
    return None if text is None else _header_name(text)


def _one_of(values: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in values:
            raise ValueError(f"{quoted(value)} is not one of {', '.join(values)}")
        return str(value)

    return read


def _read_rules(section: _Section, outcomes: tuple[str, ...]) -> tuple[Rule, ...]:
    rules = section.data.get("results", [])
    if not isinstance(rules, list):
        section.fail("results", "must be a list; the first one that fits counts")
        return ()
    return tuple(
        _read_rule(section, f"{section.at('results')}[{index}]", rule, outcomes)
        for index, rule in enumerate(rules)
    )


def _read_rule(section: _Section, place: str, rule: Any, outcomes: tuple[str, ...]) -> Rule:
    fields = section.inner(place, rule, ("status", "when", "outcome", "in_doubt"))
    if "outcome" not in fields.data:
        fields.fail("outcome", f"is missing; write one of {', '.join(outcomes)}")

    def condition(text: Any) -> CompiledExpression | None:
        return read_expression(text, ANSWER_FIELDS)

    return Rule(
        place=place,
        outcome=fields.read("outcome", _one_of(outcomes), outcomes[-1]),
        statuses=fields.read("status", _read_statuses, ()),
        when=fields.read("when", condition, None),
        in_doubt=fields.read("in_doubt", _read_switch, None),
    )


def _read_switch(value: Any) -> bool | None:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _read_statuses(value: Any) -> tuple[range, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("names no status; leave it out to mean any")
    return tuple(_read_status(item) for item in values)


def _read_status(value: Any) -> range:
    match = _STATUS.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        raise ValueError(f'{quoted(value)} is no status; write 409, "2xx" or "400-499"')
    hundred, first, last = match.groups()
    if hundred:
        return range(int(hundred) * 100, int(hundred) * 100 + 100)
    statuses = range(int(first), int(last or first) + 1)
    if not statuses:
        raise ValueError(f"{quoted(value)} is empty; write the smaller status first")
    return statuses
