"""Operators, sagas and what a page shows of them: defaults plus overrides."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from outbox.models import Delivery, Message, Route
from sagas.catalogue import store_definition
from sagas.core import journal, state
from sagas.core.definition import Definition, Step
from sagas.core.evolving import fold
from sagas.core.journal import Entry, Kind
from sagas.models import JournalEntry, Saga, SagaStart
from tests.builders import make_definition, make_step

AT = 1_700_000_000.0
NO = {"class": "OutOfStock", "message": "no stock left", "retryable": False}


def make_operator(*permissions: str, name: str = "ann") -> Client:
    """Return a browser in which a member of staff with these permissions is signed in."""
    user = User.objects.create_user(name, is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    client = Client()
    client.force_login(user)
    return client


def entries(story: str) -> list[Entry]:
    """Return the journal of a saga of two steps: running, failed, completed or undo_failed."""
    done = [Entry(Kind.SAGA_STARTED, AT), *succeeded(0)]
    failed = [
        Entry(Kind.STEP_SENT, AT + 2, 1, {"attempt": 1}),
        Entry(Kind.STEP_FAILED, AT + 3, 1, {"attempt": 1, "error": NO, "wake_at": None}),
    ]
    cause = {"cause": NO | {"step": "B"}}
    stuck = Entry(Kind.UNDO_FAILED, AT + 5, 0, {"attempt": 1, "error": NO, "wake_at": None})
    return {
        "running": done,
        "completed": [*done, *succeeded(1), Entry(Kind.SAGA_COMPLETED, AT + 9)],
        "failed": [*done, *failed, Entry(Kind.SAGA_FAILED, AT + 4, None, cause)],
        "undo_failed": [
            *done,
            *failed,
            Entry(Kind.COMPENSATION_BEGAN, AT + 4, None, cause),
            stuck,
            Entry(Kind.SAGA_FAILED, AT + 6, None, cause),
        ],
    }[story]


def succeeded(index: int) -> list[Entry]:
    return [
        Entry(Kind.STEP_SENT, AT + index, index, {"attempt": 1}),
        Entry(Kind.STEP_SUCCEEDED, AT + index + 0.5, index, {"attempt": 1, "output": {"n": 1}}),
    ]


def make_saga(story: str = "failed", *, steps: tuple[Step, ...] = (), **overrides: Any) -> Saga:
    """Write down a saga of the definition "test" with its journal, as the engine would."""
    definition = make_definition(*(steps or (make_step("A"), make_step("B"))), on_failure="park")
    return write_saga(definition, entries(story), **overrides)


def write_saga(definition: Definition, story: list[Entry], **overrides: Any) -> Saga:
    stored, _ = store_definition(definition)
    after = fold(journal.initial(len(definition.steps)), story)
    moves = after.status in state.MOVING
    fields: dict[str, Any] = {
        "definition": stored,
        "business_key": "order-1",
        "status": after.status,
        "state": state.to_json(after),
        "version": after.version,
        "due_at": timezone.now() if moves else None,
        "failed_step": after.cause["step"] if after.cause else "",
        "error_message": after.cause["message"] if after.cause else "",
        "fingerprint": "f1" if after.cause else "",
    }
    saga = Saga.objects.create(**(fields | overrides))
    SagaStart.objects.create(saga=saga, input={"amount": 3}, input_digest=b"")
    names = [step.name for step in definition.steps]
    JournalEntry.objects.bulk_create(
        JournalEntry(
            saga=saga,
            seq=seq,
            kind=entry.kind,
            step="" if entry.step is None else names[entry.step],
            data=entry.data,
            at=datetime.fromtimestamp(entry.at, UTC),
        )
        for seq, entry in enumerate(story, start=1)
    )
    return saga


def make_message(route: Route | None = None, **overrides: Any) -> Message:
    fields: dict[str, Any] = {"type": "test.number", "key": "k", "payload": {"n": 1}}
    message = Message.objects.create(**(fields | overrides))
    if route is not None:
        Delivery.objects.create(message=message, route=route, lane=1, key=message.key)
    return message


def words(response: Any) -> str:
    """Return what a page says, without its markup."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def keys_on(response: Any) -> list[str]:
    """Return the business keys of a saga list, from the top."""
    return [saga.business_key for saga in response.context["page"].rows]


def order(version: int | None = None, **overrides: Any) -> dict[str, Any]:
    """Return what the form of a verb sends."""
    given = {"reason": "the warehouse is open again", "request_id": str(uuid4())}
    if version is not None:
        given["version"] = str(version)
    return given | overrides


NOWHERE = UUID(int=0)
