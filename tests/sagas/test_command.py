"""manage.py saga: what people type."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from sagas.models import Definition, Saga
from tests.builders import Script, make_saga, make_step, no, store

pytestmark = pytest.mark.django_db
TRAVEL = "examples/definitions/travel-booking.yaml"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("saga", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_loading_a_file_twice_stores_it_once() -> None:
    assert "stored" in run("load", TRAVEL)
    assert "already" in run("load", TRAVEL)

    assert Definition.objects.get().name == "TravelBookingSaga"


def test_a_file_is_started_for_a_tenant_with_a_priority(tmp_path: Path) -> None:
    store()
    file = tmp_path / "orders.csv"
    file.write_text("OrderNo\n1\n")

    run(
        *("start", str(file), "--definition", "test", "--key", "OrderNo"),
        *("--tenant", "acme", "--priority", "low"),
    )

    saga = Saga.objects.get()
    assert (saga.start.tenant, saga.priority) == ("acme", "low")


def test_a_file_with_faults_names_them_and_stores_nothing(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("saga:\n  name: Bad\n  steps:\n    - name: A\n      timeout: ten\n")

    with pytest.raises(CommandError, match=r"bad\.yaml:5"):
        run("load", str(file))

    assert not Definition.objects.exists()


def test_a_module_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="cannot be imported"):
        run("load", "no.such.module:Saga")


def test_a_file_is_started_row_by_row_and_only_once(tmp_path: Path) -> None:
    store()
    file = tmp_path / "orders.csv"
    file.write_text("OrderNo,Total\n1,12.50\n2,7\n007,x\n")

    first = run("start", str(file), "--definition", "test", "--key", "OrderNo")
    second = run("start", str(file), "--definition", "test", "--key", "OrderNo")

    assert first.startswith("3 started, 0 started before, 0 bad rows")
    assert second.startswith("0 started, 3 started before, 0 bad rows")
    inputs = dict(Saga.objects.values_list("business_key", "start__input"))
    assert inputs == {
        "1": {"OrderNo": 1, "Total": 12.5},
        "2": {"OrderNo": 2, "Total": 7},
        "007": {"OrderNo": "007", "Total": "x"},
    }


def test_bad_rows_are_named_by_line_and_stop_no_other(tmp_path: Path) -> None:
    store()
    file = tmp_path / "orders.csv"
    rows = [b"OrderNo,Total", b"1,2", b"2", b",5", b"3,\xff", b"4,1,1", b"1,3", b"5,2"]
    file.write_bytes(b"\n".join(rows) + b"\n")
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command(
            "saga",
            "start",
            str(file),
            definition="test",
            key="OrderNo",
            stdout=out,
            stderr=out,
        )

    told = out.getvalue()
    assert set(Saga.objects.values_list("business_key", flat=True)) == {"1", "5"}
    for line in (3, 4, 5, 6, 7):
        assert f"orders.csv:{line}: " in told, told
    assert "2 started, 0 started before, 5 bad rows" in told


def test_lines_of_json_are_started_as_they_are(tmp_path: Path) -> None:
    store()
    file = tmp_path / "orders.jsonl"
    lines = [json.dumps({"id": 1, "to": {"city": "서울"}}), "", "[]", "{", json.dumps({"no": 1})]
    file.write_text("\n".join(lines), encoding="utf-8")
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command(
            "saga", "start", str(file), definition="test", key="id", stdout=out, stderr=out
        )

    assert Saga.objects.get().start.input == {"id": 1, "to": {"city": "서울"}}
    assert [f"orders.jsonl:{line}: " in out.getvalue() for line in (3, 4, 5)] == [True] * 3


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    store()
    file = tmp_path / "orders.csv"
    file.write_text("OrderNo,Total\n1,2\n")

    with pytest.raises(CommandError, match="no column 'Number'; its first line names: OrderNo"):
        run("start", str(file), "--definition", "test", "--key", "Number")


def test_driving_needs_no_broker() -> None:
    definition = store()
    Script().register(definition)
    saga = make_saga(definition)

    run("drive")

    saga.refresh_from_db()
    assert saga.status == "completed"


def test_a_verb_is_given_by_business_key() -> None:
    definition = store(make_step("A"), make_step("B"), on_failure="park")
    script = Script(doB=[no()]).register(definition)
    saga = make_saga(definition, key="order-9")
    run("drive")

    told = run("compensate", "order-9", "--reason", "the customer called")
    run("drive")

    saga.refresh_from_db()
    assert told == "order-9: compensating\n"
    assert saga.status == "compensated"
    assert script.actions == ["doA", "doB", "undoA"]


def test_the_check_finds_a_row_that_is_not_the_fold_of_its_journal() -> None:
    definition = store()
    Script().register(definition)
    saga = make_saga(definition)
    run("drive")
    assert "Every row is the fold" in run("check")
    state = Saga.objects.get(pk=saga.pk).state

    Saga.objects.filter(pk=saga.pk).update(state=state | {"status": "compensated"})

    with pytest.raises(CommandError, match="1 findings"):
        run("check")
    Saga.objects.filter(pk=saga.pk).update(state=state)
