"""The OpenAPI document: declares the errors that every operation may answer with."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction
from rest_framework import serializers

from outbox.api.reading import Body

ANY_REQUEST = {400: "It is not understood.", 405: "The address has no such method."}
WITH_LOGIN = {
    401: "No login, or a wrong one.",
    403: "The permission is missing.",
    404: "It is not there.",
    406: "The Accept header asks for something that is not JSON.",
}
WITH_BODY = {
    409: "Its state does not allow it, or somebody was faster; nothing was done.",
    413: "The body is too large.",
    415: "The body is of a type that is not taken.",
}

THROTTLED = {429: "Too many requests in this minute; Retry-After says how long to wait."}


class ErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="For programs (docs/api.md has the list).")
    message = serializers.CharField(help_text="For people.")
    details = serializers.DictField()


class EnvelopeSerializer(serializers.Serializer[Any]):
    error = ErrorSerializer()


class EnvelopeSchema(AutoSchema):
    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        errors = dict(ANY_REQUEST)
        if self.view.authentication_classes:
            errors |= WITH_LOGIN
        if self.view.throttle_classes:
            errors |= THROTTLED
        if self.method == "POST":
            errors |= WITH_BODY
        # What a view without a login says besides.
        errors |= getattr(self.view, "errors", {})
        for status, description in errors.items():
            body = self._get_response_for_code(  # type: ignore[no-untyped-call]
                EnvelopeSerializer, str(status), direction=direction
            )
            bodies.setdefault(str(status), body | {"description": description})
        return bodies

    def _map_serializer(
        self, serializer: Any, direction: Direction, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_serializer(  # type: ignore[no-untyped-call]
            serializer, direction, bypass_extensions
        )
        is_body = isinstance(serializer, Body) or (
            isinstance(serializer, type) and issubclass(serializer, Body)
        )
        return schema | {"additionalProperties": False} if is_body else schema
