"""The base of every view set of the API."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model
from django.utils.text import camel_case_to_spaces
from rest_framework.exceptions import NotFound
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from outbox.api.filters import StrictFilters
from outbox.api.paging import KeysetPages, check_parameters
from outbox.api.permissions import NO_ACTIONS, HasActionPermission

UUID_IN_PATH = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
NAME_IN_PATH = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"


class Resource(GenericViewSet[Any]):
    """Rows that the API shows. `permissions` says what each action needs, "" for a login only."""

    permissions: ClassVar[dict[str, str]]
    permission_classes = [HasActionPermission]
    http_method_names = ["get", "head", "post"]
    pagination_class = KeysetPages
    filter_backends = [StrictFilters]
    lookup_value_regex = UUID_IN_PATH
    # The serializers of rows in a list, where they differ from the one of a single row.
    serializer_classes: ClassVar[dict[str, type[BaseSerializer[Any]]]] = {}
    # Query parameters of actions beside the lists.
    parameters: ClassVar[dict[str, set[str]]] = {}

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action not in (*NO_ACTIONS, "list"):
            check_parameters(request, self.parameters.get(self.action, set()))

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return self.serializer_classes.get(self.action) or super().get_serializer_class()

    def get_object(self) -> Any:
        """Return the row of the address. Raises NotFound, with a code that names what is missing.

        The list's filters have no say here.
        """
        value = self.kwargs[self.lookup_url_kwarg or self.lookup_field]
        row = self.get_queryset().filter(**{self.lookup_field: value}).first()
        if row is None:
            raise missing(self.get_queryset().model, value)
        return row


def missing(model: type[Model], value: object) -> NotFound:
    """Return the error that a row is not there."""
    # Not the verbose name: that speaks the reader's language, and a program compares the code.
    name = camel_case_to_spaces(model.__name__)
    code = f"{name.replace(' ', '_')}_not_found"
    return NotFound(f"There is no {name} {value}.", code=code)
