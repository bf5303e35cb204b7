"""Reading requests strictly: what is misspelt, too large or cannot be stored is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.core.validators import RegexValidator
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

# Deeper JSON would end the stack of whoever writes it back out.
DEEPEST = 64
_NOT_STORABLE = "NUL and lone surrogates cannot be stored; the body has one."


class BodyTooLarge(APIException):
    status_code = 413
    default_code = "body_too_large"

    def __init__(self) -> None:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        super().__init__(f"The body is larger than the {limit:,} bytes that are allowed.")


class JsonBody(BaseParser):
    """JSON, and only what PostgreSQL can hold: no NUL, no lone surrogate, no Infinity or NaN."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        text = read_text(stream)
        try:
            data = json.loads(text, parse_constant=_refuse_constant, parse_float=_read_float)
        except RecursionError:
            raise ParseError(f"The JSON is nested deeper than {DEEPEST} levels.") from None
        except ValueError as error:
            raise ParseError(f"The body is no JSON: {error}") from error
        # An escape is the only way in: raw NUL is no JSON, raw surrogates are no UTF-8.
        _check_value(data, check_texts="\\u" in text)
        return data


def read_text(stream: IO[Any]) -> str:
    """Return the body as text. Raises BodyTooLarge, and ParseError for what is no UTF-8."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body: bytes = stream.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is no UTF-8: {error.reason}.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number


def _check_value(data: Any, *, check_texts: bool) -> None:
    level, depth = [data], 0
    while level:
        if depth > DEEPEST:
            raise ParseError(f"The JSON is nested deeper than {DEEPEST} levels.")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.values()
                if check_texts:
                    below += value.keys()
            elif isinstance(value, list):
                below += value
            elif check_texts and isinstance(value, str) and not _can_be_stored(value):
                raise ParseError(_NOT_STORABLE)
        level, depth = below, depth + 1


def _can_be_stored(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


class Text(serializers.CharField):
    """A text, taken as it is; numbers are not turned into one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Reason(Text):
    """Why somebody does something: more than blanks."""

    def __init__(self, **kwargs: Any) -> None:
        says_something = RegexValidator(r"\S", "Say why.")
        super().__init__(max_length=1000, validators=[says_something], **kwargs)


class Id(serializers.UUIDField):
    """A UUID as text; numbers are not turned into one."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class Number(serializers.IntegerField):
    """A whole number; texts, 1.0 and true are none. It fits PostgreSQL's integer by default."""

    def __init__(
        self, *, min_value: int = 0, max_value: int = 2_147_483_647, **kwargs: Any
    ) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Body(serializers.Serializer[Any]):
    """A request body; fields that it does not know are refused, never ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(data.keys() - self.fields.keys())):
            known = ", ".join(self.fields)
            raise ValidationError(
                {name: [f"Unknown field; known are {known}."] for name in unknown}
            )
        return super().to_internal_value(data)


def read_body(body: type[Body], request: Request) -> dict[str, Any]:
    """Return the checked body of a request. Raises ValidationError."""
    serializer = body(data=request.data)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def read_key(request: Request, given: str | None, *, field: str) -> str | None:
    """Return the key of the Idempotency-Key header or of the body's field; None without either.

    Raises ValidationError when both are there and differ.
    """
    header = request.headers.get("Idempotency-Key", "").strip()
    if header and given and header != given:
        raise ValidationError({field: ["It differs from the Idempotency-Key header."]})
    return header or given or None
