from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from sagas.models import JournalEntry, Saga, VerbRequest
from sagas.verbs import PERMISSIONS
from tests.console.builders import make_operator, make_saga, order, words

VERBS = [(str(verb), permission) for verb, permission in PERMISSIONS.items()]


def test_dialog_says_what_will_happen_and_does_nothing(admin: Client) -> None:
    saga = make_saga("failed")

    response = admin.get(f"/sagas/{saga.pk}/compensate/")

    assert [line.step for line in response.context["question"].plan] == ["A"]
    assert "What was done is undone, last step first." in words(response)
    assert f"as seen at version {saga.version}" in words(response)
    assert not VerbRequest.objects.exists()


def test_verb_is_carried_out_with_its_reason_and_logged(admin: Client) -> None:
    saga = make_saga("failed")

    response = admin.post(f"/sagas/{saga.pk}/retry/", order(saga.version), follow=True)

    saga.refresh_from_db()
    assert saga.status == Saga.Status.RUNNING
    assert "order-1 is tried again." in words(response)
    assert response.redirect_chain == [(f"/sagas/{saga.pk}/", 302)]
    retried = JournalEntry.objects.get(saga=saga, kind="retried")
    assert retried.data["actor"] == "root"
    assert retried.data["reason"] == "the warehouse is open again"
    assert LogEntry.objects.filter(object_id=str(saga.pk)).count() == 1


def test_repeated_press_does_nothing_twice(admin: Client) -> None:
    saga = make_saga("failed")
    pressed = order(saga.version)

    admin.post(f"/sagas/{saga.pk}/retry/", pressed)
    response = admin.post(f"/sagas/{saga.pk}/retry/", pressed)

    assert response.status_code == 302
    assert JournalEntry.objects.filter(saga=saga, kind="retried").count() == 1


def test_saga_that_changed_meanwhile_is_asked_about_anew(admin: Client) -> None:
    saga = make_saga("failed")

    response = admin.post(f"/sagas/{saga.pk}/retry/", order(saga.version - 1))

    assert response.status_code == 409
    assert "has changed since you looked at it" in words(response)
    form = response.context["question"].form
    assert form["version"].value() == saga.version
    assert form["reason"].value() == "the warehouse is open again"
    saga.refresh_from_db()
    assert saga.status == Saga.Status.FAILED


def test_illegal_verb_is_explained_and_cannot_be_pressed(admin: Client) -> None:
    saga = make_saga("completed")

    shown = admin.get(f"/sagas/{saga.pk}/retry/")
    pressed = admin.post(f"/sagas/{saga.pk}/retry/", order(saga.version))

    assert "Only a failed saga can be retried; this one is completed." in words(shown)
    assert b"<textarea" not in shown.content
    assert pressed.status_code == 409


def test_verb_without_a_reason_is_sent_back(admin: Client) -> None:
    saga = make_saga("failed")

    response = admin.post(f"/sagas/{saga.pk}/retry/", order(saga.version, reason=" "))

    assert response.status_code == 400
    assert "This field is required." in words(response)


@pytest.mark.parametrize(("verb", "permission"), VERBS)
def test_verb_needs_its_own_permission(db: None, verb: str, permission: str) -> None:
    saga = make_saga("running" if verb in ("pause", "cancel", "resume") else "failed")
    others = {other for _, other in VERBS if other != permission}
    reader = make_operator("sagas.view_saga", *others, name="reader")

    assert reader.get(f"/sagas/{saga.pk}/{verb}/").status_code == 403
    assert reader.post(f"/sagas/{saga.pk}/{verb}/", order(saga.version)).status_code == 403
    assert (
        make_operator("sagas.view_saga", permission).get(f"/sagas/{saga.pk}/{verb}/").status_code
        == 200
    )


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_verb_refuses_other_methods(admin: Client, method: str) -> None:
    saga = make_saga("failed")

    assert getattr(admin, method)(f"/sagas/{saga.pk}/retry/").status_code == 405


def test_verb_is_refused_without_the_csrf_token(admin: Client) -> None:
    saga = make_saga("failed")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin.cookies

    assert strict.post(f"/sagas/{saga.pk}/retry/", order(saga.version)).status_code == 403


def test_step_is_marked_as_done_by_hand_with_evidence(admin: Client) -> None:
    saga = make_saga("undo_failed")
    address = f"/sagas/{saga.pk}/mark_done/"

    without = admin.post(address, order(saga.version, step="A"))
    done = admin.post(address, order(saga.version, step="A", evidence="ticket 12"))

    assert without.status_code == 400
    assert done.status_code == 302
    assert JournalEntry.objects.get(saga=saga, kind="marked_done").data["evidence"] == "ticket 12"


def test_page_to_return_to_is_on_this_site(admin: Client) -> None:
    here, elsewhere = make_saga("failed"), make_saga("failed")

    kept = admin.post(f"/sagas/{here.pk}/retry/", order(here.version, next="/sagas/?status=failed"))
    dropped = admin.post(
        f"/sagas/{elsewhere.pk}/retry/", order(elsewhere.version, next="https://evil.test/")
    )

    assert kept["Location"] == "/sagas/?status=failed"
    assert dropped["Location"] == f"/sagas/{elsewhere.pk}/"


def test_bulk_shows_what_is_left_out_before_it_does_anything(admin: Client) -> None:
    failed, running = make_saga("failed"), make_saga("running")

    response = admin.post("/sagas/bulk/retry/", {"saga": [failed.pk, running.pk]})

    details = response.context["question"].details
    assert details["legal"] == [failed]
    assert details["left_out"] == [("Only a failed saga can be retried; this one is running.", 1)]
    assert not VerbRequest.objects.exists()


def test_bulk_gives_an_outcome_for_each(admin: Client) -> None:
    done, changed = make_saga("failed", business_key="a"), make_saga("failed", business_key="b")
    items = f"{done.pk}:{done.version} {changed.pk}:{changed.version - 1} nonsense"

    response = admin.post("/sagas/bulk/retry/", order(items=items))

    totals = {outcome: count for outcome, _label, count in response.context["totals"]}
    assert totals == {"done": 1, "conflict": 1}
    done.refresh_from_db()
    changed.refresh_from_db()
    assert (done.status, changed.status) == ("running", "failed")


def test_bulk_takes_all_that_match_the_filters(admin: Client) -> None:
    for n in range(3):
        make_saga("failed", business_key=f"order-{n}")
    make_saga("failed", business_key="other", fingerprint="f2")

    response = admin.post("/sagas/bulk/retry/", {"all": "1", "address": "fingerprint=f1"})

    assert len(response.context["question"].details["legal"]) == 3


def test_bulk_is_no_link_and_needs_the_permission(admin: Client) -> None:
    reader = make_operator("sagas.view_saga")

    assert admin.get("/sagas/bulk/retry/").status_code == 405
    assert reader.post("/sagas/bulk/retry/", {"saga": []}).status_code == 403
    assert admin.post("/sagas/bulk/retry/", {}).status_code == 302
