from __future__ import annotations

import re
import time
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client

from config import heartbeat
from config.heartbeat import Part, read_pulse
from config.tasks import beat_heart, note_beat
from outbox.models import Delivery
from sagas.console import attention
from tests.api.builders import make_letter
from tests.console.builders import make_message, make_operator, make_saga, words
from tests.outbox.builders import make_route

# Nobody listens on the discard port.
NO_REDIS = "redis://127.0.0.1:9/0"


@pytest.fixture
def silence(db: None) -> None:
    """Nobody has ever reported."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete(heartbeat.key_of(Part.BEAT), heartbeat.key_of(Part.WORKER))


@pytest.fixture
def life(silence: None) -> None:
    """Beat and a worker have just reported."""
    note_beat()
    beat_heart()


def test_nothing_needs_a_person_when_all_is_well(admin: Client, life: None) -> None:
    make_saga("completed")

    assert "Nothing needs you." in words(admin.get("/"))


def test_failed_sagas_are_grouped_by_cause(admin: Client, life: None) -> None:
    for _ in range(3):
        make_saga("failed")
    make_saga("failed", fingerprint="f2", error_message="card declined")

    response = admin.get("/")

    groups = response.context["failed_groups"]
    assert [(str(group.count), group.fingerprint) for group in groups] == [("3", "f1"), ("1", "f2")]
    assert b"/sagas/?status=failed&amp;fingerprint=f1" in response.content
    assert "Nothing needs you." not in words(response)


def test_dead_letters_and_stuck_keys_are_shown(admin: Client, life: None) -> None:
    make_letter()
    make_message(make_route(), key="stuck-1")
    Delivery.objects.update(status="blocking", created_at="2000-01-01T00:00Z")

    text = words(admin.get("/"))

    assert "Dead letters" in text
    assert "stuck-1" in text


def test_silent_beat_and_workers_are_named(admin: Client, silence: None) -> None:
    text = words(admin.get("/"))

    assert "No worker has reported yet." in text
    assert "Beat has not reported yet." in text


def test_last_report_is_told(admin: Client, life: None) -> None:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.set(heartbeat.key_of(Part.WORKER), time.time() - 40)

    text = words(admin.get("/"))

    assert re.search(r"No worker has reported for 4\d s\.", text)
    assert "Beat has not reported" not in text


def test_overview_answers_without_redis_and_says_so(admin: Client, settings: Any) -> None:
    settings.REDIS_URL = NO_REDIS

    response = admin.get("/")

    assert response.status_code == 200
    assert "Redis does not answer." in words(response)


def test_heartbeat_gives_up_quietly_without_redis(settings: Any) -> None:
    settings.REDIS_URL = NO_REDIS
    began = time.monotonic()

    beat_heart()

    assert not read_pulse().redis_is_up
    assert time.monotonic() - began < 0.5


def test_overdue_and_paused_sagas_are_named(admin: Client, life: None) -> None:
    make_saga("running", due_at="2000-01-01T00:00Z")
    make_saga("running", paused=True, due_at=None)

    text = words(admin.get("/"))

    assert "1 saga has been due for more than 30 s." in text
    assert "1 saga is paused." in text


def test_last_hour_counts_what_became_of_the_sagas(db: None) -> None:
    for story in ("completed", "completed", "completed", "failed", "undo_failed", "running"):
        make_saga(story)

    hour = attention.last_hour()

    assert str(hour.started) == "6"
    assert (hour.completed, hour.compensated, hour.failed) == (3, 0, 2)
    assert hour.success_rate == pytest.approx(0.6)
    assert hour.compensation_rate == 0
    assert sum(minute.moving for minute in hour.minutes) == 1


def test_busy_minute_is_estimated_from_a_sample(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "SAMPLE_PER_MINUTE", 2)
    monkeypatch.setattr(attention, "STARTED_PER_MINUTE", 5)
    for _ in range(7):
        make_saga("completed")

    hour = attention.last_hour()

    assert hour.is_sampled
    assert str(hour.started).rstrip("+").isdecimal()
    assert hour.completed in (5, 6, 7)  # the minute may have turned meanwhile


def test_overview_shows_only_what_its_reader_may_see(db: None, life: None) -> None:
    make_saga("failed")
    make_letter()

    response = make_operator("dlq.view_deadletter").get("/")

    assert "failed_groups" not in response.context
    assert response.context["letter_groups"]
