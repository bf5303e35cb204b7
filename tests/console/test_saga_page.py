from __future__ import annotations

import re

from django.test import Client
from django.utils import timezone

from sagas.core.journal import Entry, Kind
from sagas.models import JournalEntry, Saga
from tests.api.builders import make_letter
from tests.builders import make_definition, make_participant
from tests.console.builders import (
    AT,
    NO,
    entries,
    make_message,
    make_operator,
    make_saga,
    words,
    write_saga,
)


def test_page_says_what_is_wrong_and_what_can_be_done(admin: Client) -> None:
    saga = make_saga("failed")

    text = words(admin.get(f"/sagas/{saga.pk}/"))

    assert "Stopped at step “B”." in text
    assert "Service: OutOfStock — no stock left (1 attempt)" in text
    assert "compensate to undo the 1 step that is done" in text


def test_failed_undo_names_the_effect_that_stands(admin: Client) -> None:
    saga = make_saga("undo_failed")

    text = words(admin.get(f"/sagas/{saga.pk}/"))

    assert "The undo of step “A” failed; its effect still stands." in text


def test_only_legal_verbs_are_offered(admin: Client) -> None:
    failed, running, completed = make_saga("failed"), make_saga("running"), make_saga("completed")

    def verbs(saga_id: object) -> list[str]:
        return [str(verb) for verb, _ in admin.get(f"/sagas/{saga_id}/").context["verbs"]]

    assert verbs(failed.pk) == [
        "retry",
        "compensate",
        "mark_done",
        "skip",
        "rewind",
        "move",
        "abandon",
    ]
    assert verbs(running.pk) == ["pause", "cancel", "move"]
    assert verbs(completed.pk) == ["compensate"]


def test_only_verbs_that_the_reader_may_give_are_offered(db: None) -> None:
    saga = make_saga("failed")

    response = make_operator("sagas.view_saga", "sagas.retry_saga").get(f"/sagas/{saga.pk}/")

    assert [str(verb) for verb, _ in response.context["verbs"]] == ["retry"]
    assert f"/sagas/{saga.pk}/compensate/".encode() not in response.content


def test_history_tells_titles_from_steps_and_times_from_the_start(admin: Client) -> None:
    saga = make_saga("failed")

    response = admin.get(f"/sagas/{saga.pk}/")

    assert "Failed · B" in words(response)
    offsets = {line.title: line.offset for line in response.context["timeline"]}
    assert offsets["Saga started"] == ""
    assert offsets["Failed"] == "3 s"


def test_history_without_its_start_has_no_times_from_there(admin: Client) -> None:
    saga = make_saga("failed")
    JournalEntry.objects.filter(saga=saga, seq=1).delete()

    lines = admin.get(f"/sagas/{saga.pk}/").context["timeline"]

    assert {line.offset for line in lines} == {""}


def make_undo_again(wake_at: float) -> Saga:
    """Write down a saga whose undo of A has failed once and is tried again."""
    cause = {"cause": NO | {"step": "B"}}
    again = {"attempt": 1, "error": NO, "wake_at": wake_at}
    story = [*entries("failed")[:-1], Entry(Kind.COMPENSATION_BEGAN, AT + 4, None, cause)]
    story.append(Entry(Kind.UNDO_FAILED, AT + 5, 0, again))
    return write_saga(make_definition(), story)


def test_undo_that_is_tried_again_is_said_on_top(admin: Client) -> None:
    saga = make_undo_again(AT + 9e9)

    text = words(admin.get(f"/sagas/{saga.pk}/"))

    assert "Being undone: 0 of 1 step." in text
    assert re.search(r"The undo of “A” failed 1 time, next attempt in .+: no stock left", text)


def test_undo_that_is_overdue_is_not_promised_in_no_time(admin: Client) -> None:
    saga = make_undo_again(AT + 60)

    text = words(admin.get(f"/sagas/{saga.pk}/"))

    assert "The undo of “A” failed 1 time: no stock left" in text
    assert "next attempt overdue by" in text


def test_attempt_that_is_overdue_is_not_promised_in_no_time(admin: Client) -> None:
    again = {"attempt": 1, "error": NO, "wake_at": AT + 60}
    failed = Entry(Kind.STEP_FAILED, AT + 3, 1, again)
    saga = write_saga(make_definition(), [*entries("failed")[:-2], failed])

    text = words(admin.get(f"/sagas/{saga.pk}/"))

    assert "“B” failed 1 time; the next attempt is overdue." in text


def test_key_and_id_can_be_copied_by_keyboard(admin: Client) -> None:
    saga = make_saga("failed", business_key="x" * 200)

    body = admin.get(f"/sagas/{saga.pk}/").content.decode()

    for text in (saga.business_key, str(saga.pk)):
        assert re.search(rf'data-copy role="button" tabindex="0" title="Copy">{text}<', body)


def test_steps_carry_both_directions_and_their_calls(admin: Client) -> None:
    saga = make_saga("undo_failed")

    first, second = admin.get(f"/sagas/{saga.pk}/").context["steps"]

    assert (first.forward, first.backward) == ("succeeded", "compensation_failed")
    assert (second.forward, second.backward) == ("failed", "")
    assert [bar.call.backward for bar in first.bars] == [False, True]
    assert first.seconds == 0.5
    assert all(0 <= bar.left <= 100 and bar.width > 0 for bar in first.bars)


def test_timeline_joins_journal_messages_and_letters_and_names_gaps(admin: Client) -> None:
    saga = make_saga("failed")
    make_message(saga_id=saga.pk, type="saga.failed")
    make_letter(saga_id=saga.pk)

    response = admin.get(f"/sagas/{saga.pk}/")
    titles = [line.title for line in response.context["timeline"]]

    assert {"Saga started", "Message written to the outbox", "Became a dead letter"} <= set(titles)
    assert any(line.gap for line in response.context["timeline"])
    # What was sent and answered is one line, the answer.
    assert "Call sent" not in titles


def test_waiting_for_a_paused_participant_is_said(admin: Client) -> None:
    make_participant("Service", paused_at=timezone.now(), paused_by="ann", pause_reason="broken")
    saga = make_saga("running")

    assert "Participant Service is paused." in words(admin.get(f"/sagas/{saga.pk}/"))


def test_huge_input_is_cut_in_the_page(admin: Client) -> None:
    saga = make_saga("failed")
    saga.start.input = {"rows": ["x" * 100] * 1000}
    saga.start.save(update_fields=["input"])

    response = admin.get(f"/sagas/{saga.pk}/")

    assert "more characters; the API gives all of it" in words(response)
    assert len(response.content) < 120_000
