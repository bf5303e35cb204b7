"""The form and the page of a participant whose API is described."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sagas.models import Participant
from tests.builders import make_participant

pytestmark = pytest.mark.django_db

SECRET = "SAGADESK_PARTICIPANT_SECRET_PAY__KEY"
API = {
    "headers": {"Authorization": f"Bearer ${{env:{SECRET}}}"},
    "actions": {"charge": {"path": "/v1/charges"}},
}


def save(admin: Client, api: Any) -> Any:
    body = {
        "name": "Pay",
        "transport": "http",
        "address": "http://127.0.0.1",
        "api": api,
        "breaker_window_s": 30,
        "breaker_open_s": 10,
    }
    return admin.post(reverse("admin:sagas_participant_add"), body)


def test_a_description_is_kept_as_it_was_given(admin: Client) -> None:
    response = save(admin, json.dumps(API))
    assert response.status_code == 302
    assert Participant.objects.get().api == API


def test_without_one_it_speaks_our_own_protocol(admin: Client) -> None:
    save(admin, "")

    assert Participant.objects.get().api is None


@pytest.mark.parametrize(
    ("api", "words"),
    [
        ('{"actions": {"charge": {"path": "x"}}}', "actions.charge.path: must begin with a slash"),
        ('{"actions": {"charge": {}}}', "actions.charge.path: is missing"),
        ('{"actions": ', "valid JSON"),
        ("[]", "must be an object"),
        ("{}", "at least one field"),
    ],
)
def test_mistakes_are_shown_at_the_form_and_nothing_is_kept(
    admin: Client, api: str, words: str
) -> None:
    response = save(admin, api)

    assert words in html.unescape(response.content.decode())
    assert not Participant.objects.exists()


def test_the_page_names_the_secret_and_never_shows_it(admin: Client, settings: Any) -> None:
    settings.SAGAS_SECRETS = {SECRET: "sk_live_1"}
    row = make_participant("Pay", transport="http", address="http://127.0.0.1", api=API)

    page = admin.get(reverse("admin:participant", args=["Pay"])).content.decode()
    form = admin.get(f"{reverse('admin:sagas_participant_change', args=[row.pk])}?edit=1")

    assert SECRET in page
    assert "sk_live_1" not in page + form.content.decode()
