from typing import Any

import pytest
import yaml
from django.test import Client
from django.urls import URLPattern, get_resolver

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def schema() -> Any:
    return yaml.safe_load(Client().get("/api/v1/schema/").content)


def operations(schema: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_address_of_the_api_is_in_the_schema(schema: Any) -> None:
    views = [
        pattern
        for resolver in get_resolver("config.api.urls").url_patterns
        for pattern in getattr(resolver, "url_patterns", [resolver])
        if isinstance(pattern, URLPattern) and pattern.name
    ]

    assert len(views) - 2 == len(schema["paths"])  # the schema itself and its page


def test_every_operation_declares_its_errors(schema: Any) -> None:
    for path, method, operation in operations(schema):
        declared = set(operation["responses"])
        expected = {"400", "405"}
        if "health" not in path:
            expected |= {"403", "404", "406"}
            expected |= {"401"} if "{token}" not in path else set()
        if method == "post":
            expected |= {"409", "413", "415"}
        assert expected <= declared, path


def test_every_operation_says_what_it_does(schema: Any) -> None:
    for path, method, operation in operations(schema):
        assert operation.get("description"), f"{method} {path}"


def test_bodies_take_no_unknown_fields(schema: Any) -> None:
    bodies = schema["components"]["schemas"]

    assert bodies["StartBodyRequest"]["additionalProperties"] is False
    assert bodies["StartBodyRequest"]["required"] == ["business_key", "definition"]


def test_the_docs_page_needs_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/v1/docs/").content.decode()

    assert "swagger-ui" in page
    assert "https://" not in page
