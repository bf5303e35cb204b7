"""The rules of retention and the archive, by the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from rest_framework.test import APIClient

from sagas.models import RetentionRule
from sagas.retention.retaining import retain
from tests.api.builders import V1, error_of, make_client
from tests.sagas.ageing import make_ended

pytestmark = pytest.mark.django_db

RULES, ARCHIVE = f"{V1}/retention/", f"{V1}/archive/"


def body(**overrides: Any) -> dict[str, Any]:
    fields = {
        "definition": "*",
        "status": "completed",
        "keep_days": 30,
        "action": "drop",
        "reason": "the disk is full",
    }
    return fields | overrides


def test_a_rule_is_set_listed_and_removed(api: APIClient) -> None:
    first = api.post(RULES, body()).json()
    second = api.post(RULES, body(keep_days=60)).json()

    assert second == {
        "id": first["id"],
        "definition": "*",
        "status": "completed",
        "keep_days": 60,
        "action": "drop",
    }
    assert api.get(RULES).json()["results"] == [second]
    remove = f"{RULES}{first['id']}/remove/"
    assert api.post(remove, {"reason": "enough"}).json() == second
    assert error_of(api.post(remove, {"reason": "again"}), 404) == "retention_rule_not_found"
    assert LogEntry.objects.count() == 3


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        ({"status": "failed"}, "invalid_request"),
        ({"action": "shred"}, "invalid_request"),
        ({"keep_days": 0}, "invalid_request"),
        ({"reason": " "}, "invalid_request"),
        ({"definition": "none"}, "invalid_order"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    api: APIClient, overrides: dict[str, Any], code: str
) -> None:
    assert error_of(api.post(RULES, body(**overrides)), 400) == code

    assert not RetentionRule.objects.exists()


def test_setting_a_rule_needs_its_own_permission() -> None:
    reader = make_client("sagas.view_retentionrule")

    assert reader.get(RULES).status_code == 200
    assert error_of(reader.post(RULES, body()), 403) == "permission_denied"


def test_archived_sagas_are_listed_and_read_whole(api: APIClient) -> None:
    saga = make_ended("compensated", business_key="o-1", idempotency_key="k1")
    make_ended(business_key="p-1")
    retain()

    def keys(**filters: str) -> list[str]:
        return [row["business_key"] for row in api.get(ARCHIVE, filters).json()["results"]]

    assert keys() == ["p-1", "o-1"]
    assert keys(business_key="o-1") == keys(business_key_prefix="o") == ["o-1"]
    assert keys(status="completed") == ["p-1"]
    assert keys(definition="other") == []
    assert keys(created_after="2100-01-01T00:00:00Z") == []
    whole = api.get(f"{ARCHIVE}{saga.pk}/").json()
    assert (whole["business_key"], whole["status"]) == ("o-1", "compensated")
    assert (whole["input"], whole["idempotency_key"]) == ({"amount": 3}, "k1")
    assert whole["state"]["steps"][0]["status"] == "compensated"
    assert [entry["seq"] for entry in whole["journal"]] == list(range(1, saga.version + 1))


def test_the_address_of_an_archived_saga_says_where_it_is(api: APIClient) -> None:
    saga = make_ended()
    retain()

    assert error_of(api.get(f"{V1}/sagas/{saga.pk}/"), 404) == "saga_archived"
    assert error_of(api.get(f"{V1}/sagas/{UUID(int=0)}/"), 404) == "saga_not_found"
    refused = api.post(f"{V1}/sagas/{saga.pk}/compensate/", {"reason": "because"})
    assert error_of(refused, 409) == "illegal_verb"


def test_the_archive_needs_the_permission_to_see_sagas() -> None:
    assert error_of(make_client(name="bob").get(ARCHIVE), 403) == "permission_denied"
