"""What workers do not have, as operators and programs are told of it."""

from __future__ import annotations

import pytest
from django.test import Client

from sagas import catalogue, missing
from sagas.missing import Kind, Missing
from sagas.models import Definition, Saga
from tests.builders import make_participant, make_step
from tests.console.builders import make_operator, make_saga, words


@pytest.fixture
def waits(db: None) -> Saga:
    """A saga that has done A and waits for Service.doB, which a worker has missed."""
    saga = make_saga("running")
    missing.note(Missing(Kind.ACTION, "Service", "doB"))
    missing.report()
    return saga


@pytest.fixture
def newer(db: None) -> Saga:
    """A saga of a definition that only a newer release can read."""
    saga = make_saga("running")
    row = Definition.objects.get(pk=saga.definition_id)
    row.spec["steps"][0]["quantum"] = True
    row.save(update_fields=["spec"])
    catalogue.forget_compiled()
    missing.note(Missing(Kind.DEFINITION, row.name, str(row.version)))
    missing.report()
    return saga


def test_overview_names_what_a_worker_does_not_know(admin: Client, waits: Saga) -> None:
    text = words(admin.get("/"))

    assert "1 saga waits for Service.doB, which a worker does not know." in text
    assert "Nothing needs you." not in text


def test_overview_names_a_definition_that_workers_cannot_read(admin: Client, newer: Saga) -> None:
    assert "1 saga waits for a worker that can read test v1." in words(admin.get("/"))


def test_pages_of_participants_name_it_too(admin: Client, waits: Saga) -> None:
    make_participant("Service")
    make_participant("Another")
    sentence = "1 saga waits for Service.doB, which a worker does not know."

    assert sentence in words(admin.get("/participants/"))
    assert sentence in words(admin.get("/participants/Service/"))
    assert sentence not in words(admin.get("/participants/Another/"))


def test_page_of_a_saga_says_that_it_waits(admin: Client, waits: Saga) -> None:
    text = words(admin.get(f"/sagas/{waits.pk}/"))

    assert "It waits for Service.doB, which a worker does not know." in text


def test_page_of_another_saga_does_not(admin: Client, waits: Saga) -> None:
    other = make_saga("running", steps=(make_step("A"), make_step("C")), business_key="other")

    assert "It waits for" not in words(admin.get(f"/sagas/{other.pk}/"))


def test_pages_of_what_cannot_be_read_say_so(admin: Client, newer: Saga) -> None:
    for path in (f"/sagas/{newer.pk}/", f"/sagas/{newer.pk}/pause/", "/definitions/test/1/"):
        response = admin.get(path)

        assert response.status_code == 503, path
        assert "A newer release wrote this" in words(response)
    assert admin.get("/sagas/").status_code == 200
    assert admin.get("/definitions/").status_code == 200


def test_nothing_is_done_to_many_sagas_that_cannot_be_read(admin: Client, newer: Saga) -> None:
    response = admin.post("/sagas/bulk/pause/", {"saga": [newer.pk]})

    assert "A newer release wrote its definition." in words(response)


def test_api_tells_what_is_missing(waits: Saga) -> None:
    response = make_operator("sagas.view_saga").get("/api/v1/sagas/waiting/")

    (row,) = response.json()
    assert row.pop("since").endswith("Z")
    assert row == {
        "kind": "action",
        "name": "Service",
        "detail": "doB",
        "sagas": 1,
        "capped": False,
        "definitions": ["test"],
    }


def test_api_tells_it_only_to_those_who_see_sagas(waits: Saga) -> None:
    assert make_operator().get("/api/v1/sagas/waiting/").status_code == 403


def test_api_refuses_to_show_what_it_cannot_read(newer: Saga) -> None:
    response = make_operator("sagas.view_saga").get(f"/api/v1/sagas/{newer.pk}/")

    assert response.status_code == 409
    assert response.json()["error"]["code"] == "definition_unreadable"
