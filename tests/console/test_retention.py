"""The pages of retention, and what is shown of a saga that was archived."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from sagas.models import ArchivedSaga, RetentionRule, Saga
from sagas.retention.retaining import retain
from tests.builders import make_step, store
from tests.console.builders import NOWHERE, make_operator, order, words
from tests.sagas.ageing import make_ended


def rule_form(**overrides: str) -> dict[str, str]:
    fields = {"definition": "*", "status": "completed", "keep_days": "30", "action": "drop"}
    return order(**(fields | overrides))


def make_archived(key: str = "order-1", *, status: str = "completed") -> ArchivedSaga:
    saga = make_ended(status, business_key=key)
    retain()
    return ArchivedSaga.objects.get(pk=saga.pk)


def test_rules_are_listed_with_those_of_the_settings(admin: Client) -> None:
    RetentionRule.objects.create(
        definition="mine", status="completed", keep_days=7, action="archive"
    )

    text = words(admin.get("/retention/"))

    assert "mine completed 7 days archive an operator" in text
    assert "every definition without a rule of its own completed 90 days archive the settings" in (
        text
    )


def test_a_rule_is_set_changed_and_removed(admin: Client) -> None:
    admin.post("/retention/set/", rule_form())
    rule = RetentionRule.objects.get()
    assert (rule.definition, rule.keep_days, rule.action) == ("*", 30, "drop")

    dialog = admin.get("/retention/set/?definition=*&status=completed")
    assert b'value="30"' in dialog.content
    admin.post("/retention/set/", rule_form(keep_days="60"))
    rule.refresh_from_db()
    assert rule.keep_days == 60

    assert "Remove the rule of * completed" in words(admin.get(f"/retention/{rule.pk}/remove/"))
    admin.post(f"/retention/{rule.pk}/remove/", order())
    assert not RetentionRule.objects.exists()
    assert admin.post(f"/retention/{rule.pk}/remove/", order()).status_code == 404
    told = words(admin.get("/audit/"))
    assert "drop after 60 days: the warehouse is open again" in told
    korean = words(admin.get("/audit/", headers={"Accept-Language": "ko"}))
    assert "60일 뒤 삭제: the warehouse is open again" in korean
    assert "remove" in told


@pytest.mark.parametrize(
    "overrides", [{"reason": ""}, {"keep_days": "0"}, {"status": "failed"}, {"definition": "none"}]
)
def test_a_rule_that_makes_no_sense_is_not_set(admin: Client, overrides: dict[str, str]) -> None:
    assert admin.post("/retention/set/", rule_form(**overrides)).status_code == 400

    assert not RetentionRule.objects.exists()


def test_a_rule_that_is_too_short_is_refused_with_the_reason(admin: Client) -> None:
    step = make_step("A")
    store(step._replace(undo_retry=step.undo_retry._replace(total_s=40 * 86_400)))

    refused = admin.post("/retention/set/", rule_form())

    assert refused.status_code == 400
    assert "may be repeated for 40.0 days" in words(refused)


def test_changing_a_rule_needs_its_own_permission(db: None) -> None:
    rule = RetentionRule.objects.create(
        definition="*", status="completed", keep_days=7, action="archive"
    )
    reader = make_operator("sagas.view_retentionrule")

    assert b"/retention/set/" not in reader.get("/retention/").content
    for page in ("/retention/set/", f"/retention/{rule.pk}/remove/"):
        assert reader.get(page).status_code == 403
        assert reader.post(page, rule_form()).status_code == 403
        assert reader.put(page).status_code == 405
    assert make_operator(name="nobody").get("/retention/").status_code == 403
    assert make_operator(name="guest").get("/retention/archive/").status_code == 403


def test_an_archived_saga_has_its_page_as_before_but_no_verbs(admin: Client) -> None:
    saga = make_archived(status="compensated")

    page = admin.get(f"/sagas/{saga.pk}/")

    text = words(page)
    assert "It ended long ago and was archived." in text
    assert '"amount": 3' in text
    assert len(page.context["timeline"]) > 4
    assert page.context["verbs"] == []
    assert [row.step.name for row in page.context["steps"]] == ["A", "B"]


def test_a_verb_for_an_archived_saga_says_that_it_is_gone(admin: Client) -> None:
    saga = make_archived()

    assert admin.get(f"/sagas/{saga.pk}/compensate/").status_code == 404
    assert admin.get(f"/sagas/{NOWHERE}/").status_code == 404


def test_the_search_by_business_key_finds_archived_sagas_too(admin: Client) -> None:
    make_archived("order-7")
    make_ended(days=0, business_key="order-71")

    found = admin.get("/sagas/?q=order-7")

    assert [saga.business_key for saga in found.context["page"].rows] == ["order-71"]
    assert [saga.business_key for saga in found.context["archived"]] == ["order-7"]
    assert "In the archive" in words(found)
    assert "In the archive" not in words(admin.get("/sagas/?q=other"))


def test_searching_for_the_id_of_an_archived_saga_opens_it(admin: Client) -> None:
    saga = make_archived()

    assert admin.get("/sagas/", {"q": str(saga.pk)})["Location"] == f"/sagas/{saga.pk}/"
    change = admin.get(f"/sagas/saga/{saga.pk}/change/")
    assert change["Location"] == f"/sagas/{saga.pk}/"


def test_the_archive_is_searched_by_key_and_id(admin: Client) -> None:
    one, two = make_archived("one-1"), make_archived("two-2")

    def found(q: str) -> list[str]:
        rows = admin.get("/retention/archive/", {"q": q}).context["page"].rows
        return [saga.business_key for saga in rows]

    assert found("") == ["two-2", "one-1"]
    assert found("one") == ["one-1"]
    assert found(str(two.pk)) == ["two-2"]
    assert found("\x00") == ["two-2", "one-1"]
    assert found("none") == []
    assert one.pk != two.pk


def test_the_archive_costs_the_same_queries_however_long_it_is(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    saga = make_archived()
    copies = [
        ArchivedSaga(
            id=f"01990000-0000-7000-8000-{n:012}",
            definition=saga.definition,
            business_key=f"o-{n}",
            status="completed",
            started_at=saga.started_at,
            ended_at=saga.ended_at,
            document={},
        )
        for n in range(60)
    ]
    ArchivedSaga.objects.bulk_create(copies)

    with django_assert_max_num_queries(10):
        page = admin.get("/retention/archive/")

    assert len(page.context["page"].rows) == 50
    assert page.context["page"].older


def test_pages_say_what_would_be_there(admin: Client) -> None:
    assert "Nothing has been archived yet" in words(admin.get("/retention/archive/"))
    assert "No archived saga matches" in words(admin.get("/retention/archive/?q=x"))
    assert not Saga.objects.exists()
