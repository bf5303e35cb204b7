"""Routes, messages, participants, definitions and the audit."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from config.console.audit import VERBS
from outbox.models import Delivery, Receipt, Route
from sagas.core.verbs import Verb
from sagas.models import Participant
from tests.builders import make_participant, make_step, store
from tests.console.builders import make_message, make_operator, make_saga, order, words
from tests.outbox.builders import make_route


@pytest.mark.parametrize("kind", ["route", "participant"])
def test_pause_and_resume_with_a_reason(admin: Client, kind: str) -> None:
    model = {"route": Route, "participant": Participant}[kind]
    page = {"route": "/outbox/routes/test/", "participant": "/participants/test/"}[kind]
    {"route": make_route, "participant": make_participant}[kind]("test")

    assert admin.post(f"{page}pause/", order(reason="")).status_code == 400
    paused = admin.post(f"{page}pause/", order(), follow=True)
    row = model.objects.get(name="test")  # type: ignore[attr-defined]
    assert (row.paused_by, row.pause_reason) == ("root", "the warehouse is open again")
    assert "Paused by root." in words(paused)

    assert "It is paused already." in words(admin.get(f"{page}pause/"))
    admin.post(f"{page}resume/", order(reason=""))
    row.refresh_from_db()
    assert row.paused_at is None


@pytest.mark.parametrize(
    ("page", "view", "permission"),
    [
        ("/outbox/routes/test/", "outbox.view_message", "outbox.pause_route"),
        ("/participants/test/", "sagas.view_participant", "sagas.pause_participant"),
    ],
)
def test_pause_needs_its_own_permission(db: None, page: str, view: str, permission: str) -> None:
    make_route("test")
    make_participant("test")
    reader = make_operator(view, name="reader")

    assert reader.get(f"{page}pause/").status_code == 403
    assert reader.post(f"{page}pause/", order()).status_code == 403
    assert b"/pause/" not in reader.get(page).content
    assert b"/pause/" in make_operator(view, permission).get(page).content


def test_delivery_list_is_narrowed_by_route_state_and_key(admin: Client) -> None:
    make_message(make_route("one"), key="a")
    make_message(make_route("two"), key="b")
    Delivery.objects.filter(key="b").update(status="waiting", not_before=timezone.now())

    def found(filters: str) -> list[str]:
        return [row.key for row in admin.get(f"/outbox/deliveries/?{filters}").context["page"].rows]

    assert found("") == ["b", "a"]
    assert found("route=one") == ["a"]
    assert found("status=waiting") == ["b"]
    assert found("key=a") == ["a"]
    assert found("status=nonsense") == ["b", "a"]


def test_message_shows_its_deliveries_and_its_receipt(admin: Client) -> None:
    route = make_route()
    message = make_message(route, payload={"amount": 7})
    Receipt.objects.create(route=route, relay="worker-1", count=1, message_ids=[str(message.pk)])

    text = words(admin.get(f"/outbox/messages/{message.pk}/"))

    assert '"amount": 7' in text
    assert "a batch of 1 by worker-1" in text
    assert "ready" in text


def test_message_list_is_narrowed_by_saga(admin: Client) -> None:
    saga = make_saga()
    make_message(saga_id=saga.pk)
    make_message()

    def count(saga_id: str) -> int:
        return len(admin.get("/outbox/messages/", {"saga": saga_id}).context["page"].rows)

    assert (count(str(saga.pk)), count(""), count("nonsense")) == (1, 2, 0)


def test_participant_page_names_the_steps_it_performs(admin: Client) -> None:
    make_participant("bank")
    store(make_step("Pay", participant="bank"), make_step("Ship"), name="order")

    [use] = admin.get("/participants/bank/").context["uses"]

    assert (use.definition.name, use.step.name) == ("order", "Pay")


def test_definition_page_shows_steps_versions_and_what_is_in_flight(admin: Client) -> None:
    saga = make_saga("failed")

    response = admin.get(f"/definitions/test/{saga.definition.version}/")

    assert [row["step"].name for row in response.context["steps"]] == ["A", "B"]
    assert [str(count) for *_, count in response.context["in_flight"]] == ["0", "0", "1"]


def test_settings_of_a_route_are_edited_but_not_its_pause(admin: Client) -> None:
    route = make_route()

    form = admin.get(f"/outbox/route/{route.pk}/change/?edit=1")

    assert b'name="target"' in form.content
    assert b"paused" not in form.content.split(b'id="route_form"')[1]


def test_addresses_of_the_admin_lead_to_the_places(admin: Client) -> None:
    saga = make_saga()

    assert admin.get("/sagas/saga/")["Location"] == "/sagas/"
    assert admin.get(f"/sagas/saga/{saga.pk}/change/")["Location"] == f"/sagas/{saga.pk}/"
    assert admin.get("/sagas/saga/add/").status_code == 403
    assert admin.post(f"/sagas/saga/{saga.pk}/delete/", {"post": "yes"}).status_code == 403


def test_audit_says_who_did_what_why_and_is_narrowed(admin: Client) -> None:
    saga, other = make_saga(business_key="order-1"), make_saga(business_key="order-2")
    admin.post(f"/sagas/{saga.pk}/retry/", order(saga.version))
    admin.post(f"/sagas/{other.pk}/compensate/", order(other.version))

    def found(filters: str) -> list[str]:
        lines = admin.get(f"/audit/?{filters}").context["lines"]
        return [f"{line.entry.user} {line.verb} {line.entry.object_repr}" for line in lines]

    assert found("") == ["root compensate order-2", "root retry order-1"]
    assert found("verb=retry") == ["root retry order-1"]
    assert found("object=order-2") == ["root compensate order-2"]
    assert found(f"object={saga.pk}") == ["root retry order-1"]
    assert found("user=0") == []
    assert "the warehouse is open again" in words(admin.get("/audit/"))


def test_audit_has_words_for_every_verb() -> None:
    codes = {*(verb.value for verb in Verb), "enable", "disable"}

    assert codes <= VERBS.keys()
    with override("ko"):
        assert [code for code in codes if str(VERBS[code]) == code] == []
