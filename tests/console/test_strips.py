"""What the list of sagas shows of their steps: a mark each, and what is tried again."""

from __future__ import annotations

import time
from typing import Any

from django.test import Client

from sagas.core.journal import Entry, Kind
from sagas.models import Saga
from tests.builders import make_definition, make_step
from tests.console.builders import AT, NO, make_saga, succeeded, words, write_saga

BUSY = {"class": "Timeout", "message": "the airline does not answer", "trace": "line 1"}


def statuses(admin: Client) -> list[str]:
    [saga] = admin.get("/sagas/").context["rows"]
    return [mark.status for mark in saga.strip.marks]


def failed(step: int, *, wake_at: float | None = AT + 90, **more: Any) -> list[Entry]:
    data = {"attempt": 1, "error": BUSY, "wake_at": wake_at} | more
    return [
        Entry(Kind.STEP_SENT, AT + 1, step, {"attempt": 1}),
        Entry(Kind.STEP_FAILED, AT + 2, step, data),
    ]


def make_trip(*, story: list[Entry], **overrides: Any) -> Saga:
    """Write down a saga whose flight, hotel and car are reserved side by side."""
    beside = [make_step(name, after=()) for name in ("Flight", "Hotel", "Car")]
    started = [Entry(Kind.SAGA_STARTED, AT)]
    return write_saga(make_definition(*beside), [*started, *story], **overrides)


def test_strip_shows_a_status_for_every_step(admin: Client) -> None:
    make_saga("running")

    assert statuses(admin) == ["succeeded", "pending"]


def test_steps_that_were_not_begun_keep_their_places_in_a_strip(admin: Client) -> None:
    make_trip(story=succeeded(2))

    assert statuses(admin) == ["pending", "pending", "succeeded"]


def test_strip_says_in_words_what_it_shows(admin: Client) -> None:
    make_trip(story=[*succeeded(0), *succeeded(2)])
    response = admin.get("/sagas/")

    assert 'aria-label="3 steps: 2 succeeded, 1 pending"' in response.content.decode()
    assert 'title="Hotel: pending"' in response.content.decode()


def test_strip_of_many_steps_is_dense(admin: Client) -> None:
    make_saga("running", business_key="short")
    make_saga("running", business_key="long", steps=tuple(make_step(f"S{n}") for n in range(40)))

    long, short = admin.get("/sagas/").context["rows"]

    assert (long.strip.is_dense, len(long.strip.marks)) == (True, 40)
    assert not short.strip.is_dense


def test_list_does_not_read_outputs_and_traces(admin: Client) -> None:
    make_trip(story=[*succeeded(0), *failed(1)])

    [saga] = admin.get("/sagas/").context["rows"]

    first, second, _ = saga.steps
    assert sorted(first) == ["attempt", "order", "status"]
    assert sorted(second["error"]) == ["class", "message"]


def test_retrying_saga_shows_its_last_error_and_when_it_goes_again(admin: Client) -> None:
    make_trip(story=failed(1))

    response = admin.get("/sagas/")

    assert "Hotel the airline does not answer next attempt overdue by" in words(response)
    assert response.context["rows"][0].setback.next_at == AT + 90


def test_attempt_that_is_overdue_is_said_to_be(admin: Client) -> None:
    make_trip(story=failed(1, wake_at=time.time() - 600))

    assert "next attempt overdue by 10 min" in words(admin.get("/sagas/"))


def test_attempt_that_is_to_come_is_said_to_be(admin: Client) -> None:
    make_trip(story=failed(1, wake_at=time.time() + 615))

    assert "next attempt in 10 min" in words(admin.get("/sagas/"))


def test_of_several_branches_the_one_that_is_tried_first_is_shown(admin: Client) -> None:
    make_trip(story=[*failed(0, wake_at=AT + 90), *failed(2, wake_at=AT + 60)])

    assert admin.get("/sagas/").context["rows"][0].setback.step == "Car"


def test_paused_saga_has_no_next_attempt(admin: Client) -> None:
    make_trip(story=[*failed(1), Entry(Kind.PAUSED, AT + 9, None, {})], paused=True)

    text = words(admin.get("/sagas/"))

    assert "the airline does not answer" in text
    assert "next attempt" not in text


def test_saga_that_has_stopped_shows_its_cause_and_no_next_attempt(admin: Client) -> None:
    make_saga("failed")

    text = words(admin.get("/sagas/"))

    assert f"B {NO['message']}" in text
    assert "next attempt" not in text


def test_step_that_is_called_again_shows_the_last_error_without_a_time(admin: Client) -> None:
    make_trip(story=[*failed(1), Entry(Kind.STEP_SENT, AT + 90, 1, {"attempt": 2})])

    [saga] = admin.get("/sagas/").context["rows"]

    assert (saga.setback.step, saga.setback.next_at) == ("Hotel", None)


def test_long_key_is_shortened_in_the_list_and_whole_on_hover(admin: Client) -> None:
    key = "tenant-eu/" + "x" * 180 + "/order-77"
    make_saga(business_key=key)

    response = admin.get("/sagas/")

    shown = f"tenant-eu/{'x' * 14}…{'x' * 14}/order-77"
    assert f'<span title="{key}">{shown}</span>' in response.content.decode()


def test_long_key_with_hostile_words_is_shown_as_text(admin: Client) -> None:
    make_saga(business_key='"><script>alert(1)</script>' * 4)

    assert b"<script>alert" not in admin.get("/sagas/").content
