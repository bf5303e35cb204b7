"""Secrets of participants: who may use them, where they go, and that they stay there."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from dlq.models import DeadLetter
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Participant, Saga
from sagas.participants.descriptions import DescriptionError, read_description
from sagas.participants.protocol import Request
from sagas.participants.secrets import Holder
from sagas.replies import take_reply
from tests.builders import QUICK, drive_on, make_participant, make_saga, make_step, store
from tests.sagas.http_service import LOST, HttpService, Reply, http_service

PROJECT = Path(__file__).resolve().parents[2]
PREFIX = "SAGADESK_PARTICIPANT_SECRET_"
OWN = f"{PREFIX}SERVICE__KEY"
VALUE = "sk_live_4711"
PAY = "https://api.pay.example"


def described_with(secret: str) -> dict[str, Any]:
    return {
        "headers": {"Authorization": f"Bearer ${{env:{secret}}}"},
        "actions": {name: {"path": f"/{name}"} for name in ("doA", "undoA", "doB", "undoB")},
    }


def problem_with(secret: str, participant: str, address: str = PAY) -> str:
    """Return what is wrong with a description that names this secret; "" for nothing."""
    try:
        read_description(described_with(f"{PREFIX}{secret}"), Holder(participant, address))
    except DescriptionError as error:
        [problem] = error.problems
        return problem
    return ""


@pytest.mark.parametrize(
    ("secret", "participant"),
    [
        ("PAYMENT__KEY", "Payment"),
        ("PAYMENT__OLD__KEY", "Payment"),
        ("PAYMENT_SERVICE__KEY", "PaymentService"),
        ("PAYMENTSERVICE__KEY", "payment-service"),
        ("결제__KEY", "결제"),
    ],
)
def test_a_secret_named_after_its_participant_is_its_own(secret: str, participant: str) -> None:
    assert problem_with(secret, participant) == ""


@pytest.mark.parametrize("participant", ["Pay", "PaymentService", "Bank", "결제", "--"])
def test_a_secret_of_another_participant_is_refused_with_place_and_cure(participant: str) -> None:
    problem = problem_with("PAYMENT__KEY", participant)

    assert problem == (
        f"headers.Authorization: names {PREFIX}PAYMENT__KEY, which only PAYMENT may use. "
        f"Name a secret of {participant} itself, or list {participant} in "
        "SAGADESK_SECRET_FOR_PAYMENT__KEY."
    )


@pytest.mark.parametrize("secret", ["GATEWAY", "GATEWAY__", "__GATEWAY", "___GATEWAY"])
def test_a_secret_without_a_participant_is_nobodys_until_it_is_given(
    settings: Any, secret: str
) -> None:
    problem = problem_with(secret, "PaymentService")

    assert f"names {PREFIX}{secret}, which is nobody's" in problem
    assert f"Rename it to {PREFIX}PAYMENT_SERVICE__GATEWAY, or list its participants" in problem
    assert problem.endswith(f"in SAGADESK_SECRET_FOR_{secret}.")

    settings.SAGAS_SECRET_GRANTS = {secret: ["PaymentService", "Refunds"]}

    assert problem_with(secret, "PaymentService") == problem_with(secret, "Refunds") == ""
    assert "only PaymentService and Refunds may use" in problem_with(secret, "Bank")


def test_a_participant_that_no_variable_can_be_named_after_is_told_of_the_list() -> None:
    assert problem_with("GATEWAY", "결제").endswith(
        "which is nobody's. To use it, list its participants, or the addresses it may go to, in "
        "SAGADESK_SECRET_FOR_GATEWAY."
    )


def test_a_list_adds_to_the_participant_in_the_name(settings: Any) -> None:
    settings.SAGAS_SECRET_GRANTS = {"PAYMENT__KEY": ["Refunds"]}

    assert problem_with("PAYMENT__KEY", "Payment") == problem_with("PAYMENT__KEY", "refunds") == ""
    assert "only PAYMENT and Refunds may use" in problem_with("PAYMENT__KEY", "Bank")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://api.pay.example", True),
        ("https://api.pay.example/v1", True),
        ("https://api.pay.example/v1/charges", True),
        ("https://API.pay.example/v1", True),
        ("https://api.pay.example/v10", False),
        ("http://api.pay.example/v1", False),
        ("https://api.pay.example.evil.test/v1", False),
        ("https://evil.test/v1?https://api.pay.example/v1", False),
        ("https://api.pay.example@evil.test/v1", False),
        ("https://api.pay.example/v1/../v2", False),
        ("https://api.pay.example/v1/%2e%2e/v2", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_a_secret_bound_to_an_address_goes_nowhere_else(
    settings: Any, address: str, allowed: bool
) -> None:
    bound = PAY if address == PAY else f"{PAY}/v1"
    settings.SAGAS_SECRET_GRANTS = {"PAYMENT__KEY": [bound], "GATEWAY": [bound]}

    problems = [
        problem_with("PAYMENT__KEY", "Payment", address),
        problem_with("GATEWAY", "Whoever", address),
    ]

    assert [problem == "" for problem in problems] == [allowed] * 2
    if not allowed:
        assert f"may only go to {bound}, and not to {address or 'no address'}" in problems[0]
    assert problem_with("PAYMENT__KEY", "Whoever", address) != ""


@pytest.mark.parametrize("value", ["ftp://pay.example", "Payment,https://"])
def test_a_list_with_an_address_of_another_kind_stops_the_start(value: str) -> None:
    environment = os.environ | {"SAGADESK_SECRET_FOR_PAYMENT__KEY": value}
    code = "import config.settings"

    started = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True
    )

    assert started.returncode != 0
    assert "SAGADESK_SECRET_FOR_PAYMENT__KEY has" in started.stderr


def test_the_environment_says_whose_a_secret_is() -> None:
    environment = os.environ | {"SAGADESK_SECRET_FOR_GATEWAY": "Payment, https://api.pay.example,"}
    code = "import config.settings as s; print(s.SAGAS_SECRET_GRANTS)"

    started = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True
    )

    assert started.stdout.strip() == "{'GATEWAY': ['Payment', 'https://api.pay.example']}"


@pytest.mark.django_db
def test_a_participant_that_names_anothers_secret_is_not_saved() -> None:
    api = described_with(f"{PREFIX}BANK__KEY")
    participant = make_participant(transport="http", address="http://127.0.0.1", api=api)

    with pytest.raises(ValidationError) as refused:
        participant.full_clean()

    [problem] = refused.value.message_dict["api"]
    assert problem.startswith(f"headers.Authorization: names {PREFIX}BANK__KEY, which only BANK")


@pytest.mark.django_db
def test_a_participant_is_not_saved_under_a_name_that_owns_anothers_secrets() -> None:
    make_participant("PaymentService")

    with pytest.raises(ValidationError, match="PaymentService has the same name but for capitals"):
        Participant(name="payment-service", transport="local").full_clean()
    # Names without any letter own nothing.
    make_participant("--")
    Participant(name="***", transport="local").full_clean()


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def secret(settings: Any) -> str:
    settings.SAGAS_SECRETS = {OWN: VALUE, f"{PREFIX}BANK__KEY": "sk_of_the_bank"}
    return OWN


@pytest.fixture
def called(service: HttpService, secret: str) -> HttpService:
    """The service, described, with its secret."""
    make_participant(transport="http", address=service.address, api=described_with(secret))
    return service


def drive(driver: Driver, **options: Any) -> Saga:
    saga = make_saga(store(make_step("A", retry=QUICK, **options), make_step("B")))
    driver.drive()
    saga.refresh_from_db()
    return saga


def everything_kept() -> str:
    """Return all that the database keeps of sagas and dead letters."""
    tables = (Saga, JournalEntry, DeadLetter)
    return str([list(table.objects.values()) for table in tables])


def takes_the_banks(service: HttpService) -> None:
    Participant.objects.update(api=described_with(f"{PREFIX}BANK__KEY"))


def moves_away(service: HttpService) -> None:
    Participant.objects.update(address=service.address.replace("127.0.0.1", "localhost"))


def gets_a_namesake(service: HttpService) -> None:
    make_participant("SER-VICE")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("meddle", "why"),
    [
        (takes_the_banks, "which only BANK may use. Name a secret of Service itself"),
        (moves_away, "may only go to http://127.0.0.1, and not to http://localhost"),
        (gets_a_namesake, "another participant has the same name but for capitals"),
    ],
)
def test_what_may_not_be_used_any_more_is_not_sent_and_its_steps_wait(
    driver: Driver,
    called: HttpService,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    meddle: Callable[[HttpService], None],
    why: str,
) -> None:
    settings.SAGAS_SECRET_GRANTS = {"SERVICE__KEY": ["http://127.0.0.1"]}
    meddle(called)

    saga = drive(driver)

    assert (saga.status, called.requests) == ("running", [])
    assert "Service.doA is not called, its sagas wait" in caplog.text
    assert why in caplog.text
    assert VALUE not in caplog.text
    assert "sk_of_the_bank" not in caplog.text


@pytest.mark.django_db
def test_its_page_says_why_a_participant_is_not_called(admin: Client, called: HttpService) -> None:
    page = reverse("admin:participant", args=["Service"])
    assert "cannot be used" not in admin.get(page).content.decode()

    takes_the_banks(called)

    shown = admin.get(page).content.decode()
    assert "Its description cannot be used" in shown
    assert "which only BANK may use" in shown
    assert "sk_of_the_bank" not in shown


ECHO = f'You sent "Bearer {VALUE}"'


@pytest.mark.django_db
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"echo": {VALUE: [ECHO]}}),
        Reply(200, ECHO.encode()),
        Reply(302, ECHO.encode(), {"Location": f"http://127.0.0.1/?{VALUE}", "X-Echo": ECHO}),
        Reply(401, {"error": {"code": VALUE, "message": ECHO}}),
        Reply(422, {"error": ECHO}),
        Reply(500, {"message": ECHO}),
        Reply(503, ECHO.encode(), {"Retry-After": VALUE}),
        Reply(200, b"x" * 1_100_000 + VALUE.encode()),
        LOST,
    ],
    ids=lambda reply: f"{reply.status}{'lost' if reply.lost else ''}",
)
def test_a_secret_is_in_no_journal_log_or_page_whatever_is_answered(
    driver: Driver,
    admin: Client,
    called: HttpService,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
) -> None:
    caplog.set_level(logging.DEBUG)
    called.plays("doA", *[reply] * 9)

    saga = drive(driver)

    assert called.requests[0].headers["Authorization"] == f"Bearer {VALUE}"
    pages = [
        reverse("admin:saga", args=[saga.pk]),
        reverse("admin:participant", args=["Service"]),
        f"/api/v1/sagas/{saga.pk}/",
        f"/api/v1/sagas/{saga.pk}/journal/",
        "/api/v1/participants/Service/",
    ]
    answers = [admin.get(page) for page in pages]
    shown = "".join(answer.content.decode() for answer in answers)
    assert {answer.status_code for answer in answers} == {200}
    assert OWN in shown
    assert VALUE not in shown + everything_kept() + caplog.text


@pytest.mark.django_db
def test_a_redirect_takes_no_secret_elsewhere(driver: Driver, called: HttpService) -> None:
    with http_service() as elsewhere:
        called.plays("doA", Reply(307, None, {"Location": f"{elsewhere.address}/doA"}))

        drive(driver)

        assert called.actions == ["doA"]
        assert elsewhere.requests == []


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://elsewhere.test"])
def test_a_call_that_cannot_be_made_tells_no_secret(
    driver: Driver, called: HttpService, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    caplog.set_level(logging.DEBUG)
    Participant.objects.update(address=address)

    drive(driver)

    assert JournalEntry.objects.filter(kind="step_failed").exists()
    assert VALUE not in everything_kept() + caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize("correlation", ["{saga}/A/do", "{saga}/Gone/do", "nonsense"])
def test_a_reply_that_repeats_a_secret_is_kept_without_it(
    driver: Driver, called: HttpService, correlation: str
) -> None:
    called.plays("doA", Reply(202))
    saga = drive(driver)
    payload = {
        "message_id": "m-1",
        "correlation_id": correlation.format(saga=saga.pk),
        "attempt": 1,
        "outcome": "failed",
        "error": {"code": "unauthorized", "message": ECHO},
        "seen": [{VALUE: ECHO}],
    }

    take_reply(payload)
    drive_on(driver, saga)

    kept = everything_kept()
    assert "[secret]" in kept
    assert VALUE not in kept


@pytest.mark.django_db
def test_what_only_looks_like_anothers_secret_is_left_in_a_reply(
    driver: Driver, called: HttpService, settings: Any
) -> None:
    settings.SAGAS_SECRETS |= {f"{PREFIX}BANK__KEY": "seat"}
    called.plays("doA", Reply(202))
    saga = drive(driver)

    take_reply(
        {
            "message_id": "m-1",
            "correlation_id": f"{saga.pk}/A/do",
            "outcome": "succeeded",
            "output": {"seat": 7},
        }
    )

    saga.refresh_from_db()
    assert saga.state["steps"][0]["output"] == {"seat": 7}


def test_a_request_that_is_shown_shows_no_header() -> None:
    request = Request("POST", "http://127.0.0.1/x", {"Authorization": VALUE}, None)

    assert repr(request) == "<POST http://127.0.0.1/x>"
