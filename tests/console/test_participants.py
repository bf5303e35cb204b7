"""How participants are doing, and the dialogs that limit one and close its breaker."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from sagas.models import Participant
from sagas.participants import figures
from sagas.participants.breaker import BreakerRules
from sagas.participants.figures import Figures
from sagas.participants.limits import Policy
from tests.builders import make_participant
from tests.console.builders import make_operator, order, words
from tests.sagas.limiting import NAME, Together

PAGE = f"/participants/{NAME}/"
FIELDS = {
    "max_concurrency": "8",
    "max_rate": "2.5",
    "breaker_failures": "",
    "breaker_ratio": "20",
    "breaker_window_s": "60",
    "breaker_open_s": "5",
}


@pytest.fixture
def bank(db: None) -> Participant:
    return make_participant(NAME, transport="http", address="http://127.0.0.1:9101/Bank")


def open_breaker() -> None:
    Together().tell(Policy(breaker=BreakerRules(failures=1)), in_air=3, outages=1, streak=1)


def test_limits_are_changed_with_a_reason(admin: Client, bank: Participant) -> None:
    assert admin.post(f"{PAGE}limits/", order(**FIELDS, reason="")).status_code == 400

    changed = admin.post(f"{PAGE}limits/", order(**FIELDS), follow=True)

    bank.refresh_from_db()
    assert (bank.max_concurrency, bank.max_rate, bank.breaker_failures) == (8, 2.5, None)
    assert "of at most 8" in words(changed)
    assert "at most 2.5 a second" in words(changed)
    assert "at 20 % of 60 s" in words(changed)
    [entry] = LogEntry.objects.all()
    assert "max_rate None → 2.5" in entry.change_message
    assert "limit" in words(admin.get("/audit/"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_concurrency", "0"),
        ("max_rate", "-1"),
        ("breaker_ratio", "101"),
        ("breaker_open_s", ""),
    ],
)
def test_what_is_no_limit_is_refused(
    admin: Client, bank: Participant, field: str, value: str
) -> None:
    response = admin.post(f"{PAGE}limits/", order(**FIELDS | {field: value}))

    assert response.status_code == 400
    assert response.context["question"].form.errors.keys() == {field}
    assert not LogEntry.objects.exists()


def test_only_http_participants_are_limited(admin: Client) -> None:
    make_participant(NAME)

    response = admin.post(f"{PAGE}limits/", order(**FIELDS))

    assert response.status_code == 400
    assert "Only HTTP participants can be limited." in words(response)
    assert b"/limits/" not in admin.get(PAGE).content


def test_an_open_breaker_is_shown_and_closed_by_hand(admin: Client, bank: Participant) -> None:
    assert b"/close-breaker/" not in admin.get(PAGE).content
    open_breaker()

    assert "Its breaker is open: calls kept failing." in words(admin.get(PAGE))
    assert "breaker open" in words(admin.get("/participants/"))
    assert admin.post(f"{PAGE}close-breaker/", order(reason="")).status_code == 400
    closed = admin.post(f"{PAGE}close-breaker/", order(), follow=True)

    assert "The breaker of Bank is closed." in words(closed)
    assert "Its breaker is open" not in words(closed)
    assert LogEntry.objects.get().change_message.startswith('{"verb": "close_breaker"')


def test_limiting_needs_its_own_permission(bank: Participant) -> None:
    open_breaker()
    reader = make_operator("sagas.view_participant", name="reader")

    for verb in ("limits", "close-breaker"):
        assert reader.get(f"{PAGE}{verb}/").status_code == 403
        assert reader.post(f"{PAGE}{verb}/", order(**FIELDS)).status_code == 403
        assert f"/{verb}/".encode() not in reader.get(PAGE).content
    lead = make_operator("sagas.view_participant", "sagas.limit_participant")
    assert b"/limits/" in lead.get(PAGE).content
    assert b"/close-breaker/" in lead.get(PAGE).content


def test_figures_are_shown(admin: Client, bank: Participant) -> None:
    counted = Figures()
    for _ in range(10):
        counted.count(NAME, 0.2, False)
    counted.count(NAME, 0.2, True)
    counted.hand_in()

    [line] = admin.get("/participants/").context["lines"]

    assert line.condition.calls_per_minute == 11
    assert "9.1 %" in words(admin.get("/participants/"))
    assert "9.1 %" in words(admin.get(PAGE))


def test_without_redis_the_pages_answer(
    admin: Client, bank: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures.resting, "resting_until", float("inf"))

    assert "is not known now" in words(admin.get(PAGE))
    assert admin.get("/participants/").status_code == 200


def test_limits_are_edited_in_the_admin_form(admin: Client, bank: Participant) -> None:
    address = f"/sagas/participant/{bank.pk}/change/?edit=1"
    fields = {"name": NAME, "transport": "http", "address": bank.address, **FIELDS}

    refused = admin.post(address, fields | {"max_rate": "0"})
    admin.post(address, fields)

    assert "greater than or equal to 0.01" in words(refused)
    bank.refresh_from_db()
    assert bank.max_rate == 2.5
    assert LogEntry.objects.count() == 1
