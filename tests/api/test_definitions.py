from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from rest_framework.test import APIClient

from sagas.models import Definition
from tests.api.builders import V1, error_of, make_client
from tests.builders import store

pytestmark = pytest.mark.django_db

DEFINITIONS = f"{V1}/definitions/"
YAML = """\
saga:
  name: Shop
  steps:
    - name: Reserve
      service: Stock
      action: reserve
      compensation: release
    - name: Pay
      service: Bank
      action: pay
      compensation: refund
"""


def post_yaml(client: APIClient, text: str) -> Any:
    return client.generic("POST", DEFINITIONS, text, content_type="application/yaml")


def test_a_yaml_file_is_stored_as_it_was_written(api: APIClient) -> None:
    response = post_yaml(api, YAML)

    assert response.status_code == 201
    stored = Definition.objects.get()
    assert (stored.name, stored.version, stored.source) == ("Shop", 1, YAML)
    shown = response.json()
    assert [step["name"] for step in shown["spec"]["steps"]] == ["Reserve", "Pay"]
    assert LogEntry.objects.get().object_repr == "Shop v1"


def test_yaml_can_be_sent_in_json(api: APIClient) -> None:
    assert api.post(DEFINITIONS, {"yaml": YAML}).status_code == 201


def test_the_same_definition_again_is_no_new_version(api: APIClient) -> None:
    post_yaml(api, YAML)

    response = post_yaml(api, YAML)

    assert response.status_code == 200
    assert response.json()["version"] == 1
    assert Definition.objects.count() == 1


def test_a_changed_definition_is_a_new_version(api: APIClient) -> None:
    post_yaml(api, YAML)

    response = post_yaml(api, YAML.replace("refund", "payBack"))

    assert (response.status_code, response.json()["version"]) == (201, 2)


def test_a_version_that_is_stored_never_changes(api: APIClient) -> None:
    numbered = YAML.replace("name: Shop", "name: Shop\n  version: 1")
    post_yaml(api, numbered)

    response = post_yaml(api, numbered.replace("refund", "payBack"))

    assert error_of(response, 409) == "definition_changed"


def test_every_mistake_is_told_with_its_line(api: APIClient) -> None:
    broken = YAML.replace("      action: reserve\n", "").replace(
        "pay\n", "pay\n      tiemout: 5s\n"
    )

    response = post_yaml(api, broken)

    assert error_of(response, 400) == "invalid_definition"
    problems = response.json()["error"]["details"]["problems"]
    assert {"file", "line", "column", "field", "message"} == problems[0].keys()
    assert [(problem["line"], problem["field"]) for problem in problems] == [
        (4, "saga.steps[0].action"),
        (10, "saga.steps[1].tiemout"),
    ]
    assert not Definition.objects.exists()


@pytest.mark.parametrize("text", ["", "{", "saga: &a [*a]", "\x00", "- " * 5000])
def test_whatever_is_no_definition_is_refused(api: APIClient, text: str) -> None:
    assert post_yaml(api, text).status_code == 400


@pytest.mark.parametrize("body", [{}, {"yaml": 7}, {"yaml": ""}, {"yml": YAML}, [YAML]])
def test_a_json_body_without_yaml_is_refused(api: APIClient, body: Any) -> None:
    assert error_of(api.post(DEFINITIONS, body), 400) == "invalid_request"


def test_the_list_shows_all_versions_without_their_steps(api: APIClient) -> None:
    post_yaml(api, YAML)
    post_yaml(api, YAML.replace("refund", "payBack"))
    store(name="Other")

    rows = api.get(DEFINITIONS).json()["results"]

    assert [(row["name"], row["version"]) for row in rows] == [
        ("Other", 1),
        ("Shop", 2),
        ("Shop", 1),
    ]
    assert "spec" not in rows[0]
    assert len(api.get(DEFINITIONS, {"name": "Shop"}).json()["results"]) == 2


def test_one_definition_is_shown_in_its_newest_or_in_a_named_version(api: APIClient) -> None:
    post_yaml(api, YAML)
    post_yaml(api, YAML.replace("refund", "payBack"))

    assert api.get(f"{DEFINITIONS}Shop/").json()["version"] == 2
    assert api.get(f"{DEFINITIONS}Shop/", {"version": 1}).json()["source"] == YAML
    assert error_of(api.get(f"{DEFINITIONS}Shop/", {"version": 3}), 404) == "definition_not_found"
    assert error_of(api.get(f"{DEFINITIONS}Nothing/"), 404) == "definition_not_found"
    assert error_of(api.get(f"{DEFINITIONS}Shop/", {"version": "x"}), 400) == "invalid_request"


def test_storing_needs_more_than_viewing() -> None:
    client = make_client("sagas.view_definition")

    assert client.get(DEFINITIONS).status_code == 200
    assert error_of(post_yaml(client, YAML), 403) == "permission_denied"
    assert error_of(client.put(f"{DEFINITIONS}Shop/", {}), 405) == "method_not_allowed"
