"""A call of an existing API: the request that its description makes, and what an answer means."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from sagas.callbacks import callback_address
from sagas.core.expressions import CompiledExpression, ExpressionError, is_true
from sagas.participants.addresses import climbs
from sagas.participants.answers import (
    Answer,
    Response,
    invalid,
    is_retryable,
    may_have_taken_effect,
    message_of,
    pause_of,
    success,
)
from sagas.participants.calls import Call, describe
from sagas.participants.descriptions import Described, Rule
from sagas.participants.protocol import Request, own_headers
from sagas.participants.secrets import redact
from sagas.participants.templates import MappingFailed, scalar

# More than can be kept: an output expression may take a little of a large answer.
MAX_ANSWER_BYTES = 1_048_576
_CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


class DescribedCall(NamedTuple):
    """One call as its description has it."""

    address: str
    call: Call
    described: Described

    @property
    def max_bytes(self) -> int:
        return MAX_ANSWER_BYTES

    def request(self) -> Request:
        """Return the request. Raises MappingFailed, which says which expression failed."""
        maker = _Maker(self.described, document_of(self.call))
        return Request(
            self.described.method,
            self.address.rstrip("/") + maker.path() + maker.query(),
            maker.headers(self.call),
            maker.body(),
        )

    def read(self, response: Response) -> Answer:
        """Return what the response means, without our secrets should it repeat them."""
        response = _without_secrets(response, self.described.secrets)
        document = document_of(self.call) | _document_of_answer(response)
        try:
            answer = _Reading(self.described, response, document).answer()
        except ExpressionError as error:
            # Whatever it says: the request was there.
            answer = invalid(f"{self.described.place}: {error}")
        if self.described.is_probe and answer.in_doubt:
            return answer._replace(outcome="unknown")
        return answer


def document_of(call: Call) -> dict[str, Any]:
    """Return what the expressions of a request read (descriptions.CALL_FIELDS)."""
    return {
        "input": call.input,
        "outputs": call.outputs,
        "saga_id": str(call.saga_id),
        "business_key": call.business_key,
        "definition": call.definition,
        "step": call.step,
        "action": call.action,
        "attempt": call.attempt,
        "direction": str(call.direction),
        "idempotency_key": call.idempotency_key,
        # For APIs that take short keys only, or a UUID.
        "idempotency_uuid": str(uuid.uuid5(call.saga_id, call.idempotency_key)),
        "undoes": call.undoes,
        "callback": callback_address(call),
    }


class _Maker(NamedTuple):
    """Makes the parts of a request; each may raise MappingFailed with the place that failed."""

    described: Described
    document: dict[str, Any]

    def path(self) -> str:
        place = f"{self.described.place}.path"
        with _at(place):
            path = self.described.path.render(self.document, lambda text: quote(text, safe=""))
            if climbs(path):
                raise MappingFailed(f"a value makes it {path!r}, which leads elsewhere")
        # What the template itself has besides, such as letters of other scripts.
        return quote(path, safe="/%:@!$&'()*+,;=~-._")

    def query(self) -> str:
        pairs: list[tuple[str, str]] = []
        for name, expression in self.described.query.items():
            with _at(f"{self.described.place}.query.{name}"):
                pairs += _fields(name, expression.text, expression.evaluate(self.document))
        return "?" + urlencode(pairs) if pairs else ""

    def headers(self, call: Call) -> dict[str, str]:
        headers = own_headers(call)
        if content_type := _CONTENT_TYPES.get(self.described.body_kind):
            headers["Content-Type"] = content_type
        if self.described.idempotency_header:
            headers[self.described.idempotency_header] = call.idempotency_key
        for name, template in self.described.headers.items():
            with _at(f"{self.described.place}.headers.{name}"):
                value = template.render(self.document)
            for same in [other for other in headers if other.lower() == name.lower()]:
                del headers[same]
            headers[name] = value
        return {name: value.encode().decode("latin-1") for name, value in headers.items()}

    def body(self) -> bytes | None:
        kind = self.described.body_kind
        if not kind:
            return None
        place = f"{self.described.place}.{kind}"
        with _at(place):
            data = _evaluated(self.described.body, self.document, place)
            if kind == "form":
                return urlencode(list(_form(data))).encode()
            return json.dumps(
                data, ensure_ascii=False, allow_nan=False, separators=(",", ":")
            ).encode()


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Say of an error where in the description it came about, unless that has been said."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        if isinstance(error, MappingFailed) and error.place:
            raise
        raise MappingFailed(str(error), place) from None


def _evaluated(body: Any, document: dict[str, Any], place: str) -> Any:
    """Return the body with what its expressions give; fields that give nothing are left out."""
    if isinstance(body, CompiledExpression):
        with _at(place):
            return body.evaluate(document)
    if isinstance(body, dict):
        values = {
            name: _evaluated(value, document, f"{place}.{name}") for name, value in body.items()
        }
        return {
            name: value for name, value in values.items() if value is not None or body[name] is None
        }
    if isinstance(body, list):
        return [_evaluated(value, document, f"{place}.{index}") for index, value in enumerate(body)]
    return body


def _form(data: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(data, dict):
        raise MappingFailed("gives no object; a form is made of one with a field for each name")
    for name, value in data.items():
        yield from _fields(name, name, value)


def _fields(name: str, source: str, value: Any) -> list[tuple[str, str]]:
    """Return the pairs of one field: none for nothing, several for a list."""
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    return [(name, scalar(source, item)) for item in values]


def _without_secrets(response: Response, names: frozenset[str]) -> Response:
    if not names:
        return response
    headers = {
        name: redact(value.encode(), names).decode() for name, value in response.headers.items()
    }
    return Response(response.status, redact(response.body, names), headers)


def _document_of_answer(response: Response) -> dict[str, Any]:
    try:
        body = json.loads(response.body) if response.body else None
    except (ValueError, RecursionError):
        body = response.body.decode("utf-8", "replace")
    return {"status": response.status, "headers": dict(response.headers), "body": body}


class _Reading(NamedTuple):
    """What a response means by the rules of a description; the first rule that fits counts."""

    described: Described
    response: Response
    document: Mapping[str, Any]

    def answer(self) -> Answer:
        status = self.response.status
        if 200 <= status < 300 and len(self.response.body) > MAX_ANSWER_BYTES:
            return invalid(f"Its answer has more than {MAX_ANSWER_BYTES:,} bytes.")
        rule = self._rule()
        outcome = rule.outcome if rule else _usual_outcome(self.described, status)
        if outcome == "succeeded":
            return self._success()
        if outcome in ("accepted", "absent"):
            return Answer(outcome)
        error = self._error(retryable=outcome != "refused")
        if outcome == "unknown":
            return Answer("unknown", error=error)
        if outcome == "refused":
            return Answer("failed", error=error, in_doubt=bool(rule and rule.in_doubt))
        return self._to_retry(error, rule)

    def _rule(self) -> Rule | None:
        for rule in self.described.rules:
            if rule.statuses and not any(self.response.status in span for span in rule.statuses):
                continue
            if rule.when is None or is_true(rule.when.evaluate(self.document)):
                return rule
        return None

    def _to_retry(self, error: dict[str, Any], rule: Rule | None) -> Answer:
        headers, status = self.response.headers, self.response.status
        in_doubt = may_have_taken_effect(status)
        if rule is not None and rule.in_doubt is not None:
            in_doubt = rule.in_doubt
        pause = pause_of(headers.get("retry-after"), headers.get("date"))
        return Answer("failed", error=error, retry_after_s=pause, in_doubt=in_doubt)

    def _success(self) -> Answer:
        if self.described.output is not None:
            return success(self.described.output.evaluate(self.document))
        body = self.document["body"]
        if isinstance(body, str) and self.response.body[:1] != b'"':
            return invalid(
                "Its answer is no JSON. If that is as it should be, say in "
                f'{self.described.place}.output what of it is to be kept, for example "status".'
            )
        return success(body)

    def _error(self, *, retryable: bool) -> dict[str, Any]:
        """Return the error by the description's own expression, or as answers usually say it."""
        status = self.response.status
        said = self._said()
        code, message = f"HTTP{status}", said
        if isinstance(said, dict):
            code, message = str(said.get("code") or code), said.get("message")
        if message is None or message == "":
            message = message_of(status, self.response.body)
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
        return describe(code, text, retryable=retryable)

    def _said(self) -> Any:
        if self.described.error is None:
            return None
        try:
            return self.described.error.evaluate(self.document)
        except ExpressionError:
            # What the answer means is known; only its words are not where they should be.
            return None


def _usual_outcome(described: Described, status: int) -> str:
    if described.is_probe:
        absent = "absent" if status in (404, 410) else "unknown"
        return "succeeded" if status == 200 else absent
    if status == 202:
        return "accepted"
    if 200 <= status < 300:
        return "succeeded"
    return "retry" if is_retryable(status) else "refused"
