"""What we put on the queue is what Celery puts there."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from config.celery import app
from outbox import celery_messages

# Unique to a message or a sender, or words for logs. Without time limits the worker's own count.
VARIABLE = {"id", "root_id", "origin", "expires", "kwargsrepr", "timelimit"}
VARIABLE_PROPERTIES = {"correlation_id", "delivery_tag", "reply_to"}


@pytest.fixture
def from_celery(redis_server) -> dict[str, Any]:
    app.send_task("outbox.relay", kwargs={"a": 1}, expires=5, ignore_result=True)
    return json.loads(redis_server.rpop("sagadesk"))


@pytest.fixture
def from_us() -> dict[str, Any]:
    return json.loads(celery_messages.build("outbox.relay", {"a": 1}, expires_s=5))


def test_the_message_has_the_layout_of_kombu(from_celery, from_us):
    assert from_us.keys() == from_celery.keys()
    for part in ("content-type", "content-encoding"):
        assert from_us[part] == from_celery[part]


def test_the_headers_are_those_of_protocol_2(from_celery, from_us):
    ours, theirs = from_us["headers"], from_celery["headers"]

    assert ours.keys() == theirs.keys()
    assert {name: ours[name] for name in ours.keys() - VARIABLE} == {
        name: theirs[name] for name in theirs.keys() - VARIABLE
    }


def test_the_properties_are_the_same(from_celery, from_us):
    ours, theirs = from_us["properties"], from_celery["properties"]

    assert ours.keys() == theirs.keys()
    assert {name: ours[name] for name in ours.keys() - VARIABLE_PROPERTIES} == {
        name: theirs[name] for name in theirs.keys() - VARIABLE_PROPERTIES
    }


def test_the_body_is_the_same(from_celery, from_us):
    assert json.loads(b64decode(from_us["body"])) == json.loads(b64decode(from_celery["body"]))


def test_a_message_expires_only_when_it_shall():
    message = json.loads(celery_messages.build("outbox.relay"))

    assert message["headers"]["expires"] is None
    assert "expiration" not in message["properties"]
