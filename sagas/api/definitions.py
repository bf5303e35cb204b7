"""Definitions: look at the versions that are stored, and store new ones from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from outbox.api.filters import LARGEST_NUMBER
from outbox.api.permissions import caller
from outbox.api.reading import Body, JsonBody, Text, read_body, read_text
from outbox.api.resources import NAME_IN_PATH, Resource
from outbox.audit import log_verb
from sagas.api.filters import DefinitionFilters
from sagas.api.serializers import DefinitionDetail, DefinitionRow
from sagas.catalogue import find_definition, store_definition
from sagas.definitions import read_yaml
from sagas.models import Definition

# What problems call a text that came without a file.
FILE = "definition.yaml"


class YamlBody(BaseParser):
    """A definition as it is written in a file."""

    media_type = "application/yaml"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        return {"yaml": read_text(stream)}


class DefinitionBody(Body):
    yaml = Text(help_text="The definition (docs/definition-format.md).")


class DefinitionViews(ListModelMixin, Resource):
    """Versions of saga types, newest first; they never change."""

    permissions = {
        "list": "sagas.view_definition",
        "retrieve": "sagas.view_definition",
        "create": "sagas.add_definition",
    }
    parameters = {"retrieve": {"version"}}
    queryset = Definition.objects.defer("spec", "source")
    serializer_class = DefinitionRow
    filterset_class = DefinitionFilters
    parser_classes = [JsonBody, YamlBody]
    lookup_field = "name"
    lookup_value_regex = NAME_IN_PATH

    @extend_schema(
        responses=DefinitionDetail,
        parameters=[
            OpenApiParameter(
                "version",
                {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER},
                description="The newest without it.",
            )
        ],
    )
    def retrieve(self, request: Request, name: str) -> Response:
        """Show one version of a definition."""
        version = read_version(request.query_params.get("version"))
        return Response(DefinitionDetail(find_definition(name, version)).data)

    @extend_schema(
        request={"application/json": DefinitionBody, "application/yaml": OpenApiTypes.STR},
        responses={200: DefinitionDetail, 201: DefinitionDetail},
    )
    def create(self, request: Request) -> Response:
        """Store a definition written in YAML.

        201: it is a new version. 200: it equals one that is stored. 400: `problems` has every
        mistake with its line. 409: that version is stored already, with other content.
        """
        text = read_body(DefinitionBody, request)["yaml"]
        definition = read_yaml(text, filename=FILE)
        with transaction.atomic():
            stored, is_new = store_definition(
                definition, format=Definition.Format.YAML, source=text
            )
            if is_new:
                log_verb(caller(request), [stored], "store", "")
        return Response(DefinitionDetail(stored).data, status=201 if is_new else 200)


def read_version(text: str | None) -> int | None:
    if text is None:
        return None
    is_number = text.isascii() and text.isdecimal() and len(text) <= 10
    if not is_number or not 1 <= int(text) <= LARGEST_NUMBER:
        raise ValidationError({"version": ["Write a whole number from 1."]})
    return int(text)
