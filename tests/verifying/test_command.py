"""manage.py saga verify: what is printed, and what the exit code says."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

TRAVEL = Path("examples/definitions/travel-booking.yaml")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("saga", "verify", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_a_file_that_holds_has_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    told = run(str(TRAVEL))

    assert "PaymentFailed" in told
    assert "cancelHotelReservation, cancelFlightReservation" in told
    assert "NO" not in told
    assert "ok  All compensations must be idempotent" in told


def test_a_file_that_does_not_hold_is_an_error_and_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    file = tmp_path / "wrong.yaml"
    wrong = TRAVEL.read_text(encoding="utf-8").replace("        - cancelHotelReservation\n", "", 1)
    file.write_text(wrong, encoding="utf-8")
    out = StringIO()

    with pytest.raises(CommandError, match=r"does not hold: .*wrong\.yaml"):
        call_command("saga", "verify", str(file), stdout=out, stderr=out)

    assert "listed: cancelFlightReservation; ran: cancelHotelReservation" in out.getvalue()


def test_programs_get_json() -> None:
    (verdict,) = json.loads(run(str(TRAVEL), "--json"))

    assert (verdict["file"], verdict["name"]) == (str(TRAVEL), "TravelBookingSaga")
    assert verdict["holds"] is True
    assert verdict["plays"][0]["scenario"] == "FlightReservationFailed"
    assert [invariant["holds"] for invariant in verdict["invariants"]] == [True] * 3
