from __future__ import annotations

import pytest
from django.test import Client

from dlq.models import DeadLetter
from tests.api.builders import make_letter
from tests.console.builders import make_operator, order, words


def test_letters_are_grouped_by_cause(admin: Client) -> None:
    for _ in range(3):
        make_letter()
    make_letter(destination="billing", attempts=[{"error_class": "KeyError", "message": "x"}])

    found = admin.get("/letters/").context["found"]

    assert [(group.count, group.destination) for group in found.groups] == [
        (3, "orders"),
        (1, "billing"),
    ]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("status=open", 2),
        ("status=discarded", 0),
        ("destination=billing", 1),
        ("source=reply", 0),
        ("reason=attempts_spent", 2),
        ("key=a", 1),
        ("key=%00", 2),
        ("fingerprint=none", 0),
    ],
)
def test_filters_narrow_the_list(admin: Client, filters: str, found: int) -> None:
    make_letter(key="a")
    make_letter(destination="billing")

    assert len(admin.get(f"/letters/all/?{filters}").context["page"].rows) == found


def test_letter_shows_payload_and_every_attempt(admin: Client) -> None:
    letter = make_letter(payload={"iban": "DE00"})

    text = words(admin.get(f"/letters/{letter.pk}/"))

    assert '"iban": "DE00"' in text
    assert "Attempt 1 · ValueError" in text


def test_letter_is_discarded_with_a_reason(admin: Client) -> None:
    letter = make_letter()
    address = f"/letters/{letter.pk}/discard/"

    without = admin.post(address, order(letter.version, reason=""))
    done = admin.post(address, order(letter.version))

    letter.refresh_from_db()
    assert without.status_code == 400
    assert done.status_code == 302
    assert (letter.status, letter.settled_by) == (DeadLetter.Status.DISCARDED, "root")


def test_letter_that_changed_is_asked_about_anew(admin: Client) -> None:
    letter = make_letter()

    response = admin.post(f"/letters/{letter.pk}/discard/", order(letter.version - 1))

    assert response.status_code == 409
    assert "changed since it was shown" in words(response)
    letter.refresh_from_db()
    assert letter.status == DeadLetter.Status.OPEN


def test_repeated_press_is_no_error(admin: Client) -> None:
    letter = make_letter()
    pressed = order(letter.version)

    admin.post(f"/letters/{letter.pk}/discard/", pressed)

    assert admin.post(f"/letters/{letter.pk}/discard/", pressed).status_code == 302


def test_settled_letter_cannot_be_discarded_again(admin: Client) -> None:
    letter = make_letter()
    admin.post(f"/letters/{letter.pk}/discard/", order(letter.version))

    response = admin.get(f"/letters/{letter.pk}/discard/")

    assert "It is not open; it is discarded." in words(response)


def test_batch_is_reprocessed_by_destination_up_to_a_limit(admin: Client) -> None:
    for _ in range(3):
        make_letter()
    other = make_letter(destination="billing")
    address = "/letters/batch/?destination=orders"

    asked = admin.get(address)
    response = admin.post(address, order(destination="orders", limit=2))

    assert "3 open letters match." in words(asked)
    assert len(response.context["rows"]) == 2
    other.refresh_from_db()
    assert other.status == DeadLetter.Status.OPEN


def test_batch_without_a_sensible_limit_is_sent_back(admin: Client) -> None:
    assert admin.post("/letters/batch/", order(limit=0)).status_code == 400


def test_ticked_letters_are_discarded_together(admin: Client) -> None:
    letters = [make_letter() for _ in range(2)]

    asked = admin.post("/letters/bulk/discard/", {"letter": [letter.pk for letter in letters]})
    items = asked.context["question"].form["items"].value()
    response = admin.post("/letters/bulk/discard/", order(items=items))

    assert len(response.context["rows"]) == 2
    assert not DeadLetter.objects.filter(status="open").exists()


@pytest.mark.parametrize(
    ("verb", "permission"),
    [("reprocess", "dlq.reprocess_deadletter"), ("discard", "dlq.discard_deadletter")],
)
def test_verb_needs_its_own_permission(db: None, verb: str, permission: str) -> None:
    letter = make_letter()
    reader = make_operator("dlq.view_deadletter", name="reader")
    allowed = make_operator("dlq.view_deadletter", permission)

    assert reader.get(f"/letters/{letter.pk}/{verb}/").status_code == 403
    assert reader.post(f"/letters/bulk/{verb}/", {"letter": [letter.pk]}).status_code == 403
    assert allowed.get(f"/letters/{letter.pk}/{verb}/").status_code == 200
    assert f"/letters/{letter.pk}/{verb}/".encode() in allowed.get(f"/letters/{letter.pk}/").content
    assert f"/{verb}/".encode() not in reader.get(f"/letters/{letter.pk}/").content


def test_bulk_is_no_link(admin: Client) -> None:
    assert admin.get("/letters/bulk/discard/").status_code == 405
