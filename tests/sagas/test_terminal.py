"""How wide the tables of `manage.py saga` are: in a terminal, in a pipe, and as COLUMNS says."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TextIO

import pytest
from django.core.management import call_command
from rich.cells import cell_len

from sagas.management.terminal import UNBOUNDED, width_of
from sagas.models import Saga
from sagas.scheduling.keeping import Setting, set_schedule
from tests.builders import Script, drive_on, make_saga, make_step, no, store

PROJECT = Path(__file__).resolve().parents[2]
LONG = "cancelHotelReservation is unavailable: " + "no rooms at all, " * 12 + "[really] :warning:"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def stopped(driver: object) -> Saga:
    """A saga that stopped with a long error, beside one with a Korean business key."""
    definition = store(make_step("예약"), make_step("B"), name="TravelBooking", on_failure="park")
    Script(doB=[no(LONG)]).register(definition)
    saga = make_saga(definition, key="TRIP-00008")
    drive_on(driver, saga)  # type: ignore[arg-type]
    make_saga(definition, key="여행-17")
    saga.refresh_from_db()
    assert saga.status == "failed"
    return saga


@contextmanager
def terminal(columns: int) -> Iterator[tuple[TextIO, list[str]]]:
    """Give what is a terminal of so many columns, and the lines that it has shown in the end."""
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    lines: list[str] = []
    with os.fdopen(writing, "w") as file:
        yield file, lines
        file.flush()
        os.set_blocking(reading, False)
        shown = b""
        try:
            while part := os.read(reading, 65_536):
                shown += part
        except BlockingIOError:
            pass
    os.close(reading)
    lines += re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines()


def piped(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("saga", *arguments, stdout=out)
    return out.getvalue().splitlines()


def shown_in(columns: int, *arguments: str) -> list[str]:
    with terminal(columns) as (file, lines):
        call_command("saga", *arguments, stdout=file)
    return lines


def test_a_pipe_gets_each_saga_on_one_line_with_all_there_is_to_say(stopped: Saga) -> None:
    _, korean, failed = piped("list")

    assert failed.split(None, 3)[:3] == [str(stopped.pk), "TRIP-00008", "TravelBooking"]
    assert failed.endswith(f"failed   B: {LONG}")
    assert korean.split()[1:] == ["여행-17", "TravelBooking", "v1", "running"]


def test_columns_stand_below_each_other_whatever_the_letters(stopped: Saga) -> None:
    head, *rows = piped("list")

    at = head.index("definition")
    assert [cell_len(row[: row.index("TravelBooking")]) for row in rows] == [at, at]


def test_a_pipe_gets_what_is_said_of_a_step_on_one_line(stopped: Saga) -> None:
    for command in (["show", "TRIP-00008"], ["history", "TRIP-00008", "--seq", "4"]):
        lines = piped(*command)

        assert f"BusinessFailure: {LONG}" in next(line for line in lines if line[:2] == "B ")
        assert not [line for line in lines if line != line.rstrip()]


def test_the_timeline_is_in_columns_whatever_the_letters(stopped: Saga) -> None:
    timeline = [line for line in piped("show", "TRIP-00008") if "succeeded  {" in line]
    [failed] = [line for line in piped("show", "TRIP-00008") if " failed  Business" in line]

    [succeeded] = timeline
    assert cell_len(succeeded[: succeeded.index("succeeded")]) == failed.index("failed")


@pytest.mark.parametrize("columns", [80, 100, 119, 120, 200])
def test_a_terminal_is_never_too_narrow_for_its_lines(stopped: Saga, columns: int) -> None:
    lines = shown_in(columns, "list")

    assert max(map(cell_len, lines)) <= columns
    assert [line for line in lines if line.startswith(str(stopped.pk))]
    assert "noroomsatall" in "".join("".join(lines).split())


def test_a_narrow_terminal_shows_what_is_wrong_below_the_id(stopped: Saga) -> None:
    lines = shown_in(80, "list")

    at = next(at for at, line in enumerate(lines) if line.startswith(str(stopped.pk)))
    assert lines[at].split() == [str(stopped.pk), "TRIP-00008", "TravelBooking", "v1", "failed"]
    assert lines[at + 1].rstrip() == "  B: cancelHotelReservation is"


def test_a_wide_terminal_shows_what_is_wrong_in_a_column(stopped: Saga) -> None:
    lines = shown_in(140, "list")

    assert "what is wrong" in lines[0]
    assert "failed   B: cancelHotelReservation is" in "".join(lines)


@pytest.mark.parametrize("columns", [90, 160])
def test_the_variable_columns_counts_more_than_pipe_and_terminal(
    stopped: Saga, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    assert columns - 30 < max(map(cell_len, piped("list"))) <= columns
    assert [line.rstrip() for line in shown_in(60, "list")] == piped("list")


@pytest.mark.parametrize("columns", ["", "0", "many", "-5"])
def test_columns_that_are_no_number_count_for_nothing(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert width_of(StringIO()) == UNBOUNDED


@pytest.mark.parametrize(("columns", "width"), [(132, 132), (0, 80)])
def test_the_width_is_that_of_the_terminal_that_is_written_to(columns: int, width: int) -> None:
    with terminal(columns) as (file, _):
        assert width_of(file) == width


def test_a_schedule_is_shown_as_it_is_written() -> None:
    store(make_step("A"), name="report")
    set_schedule(
        Setting(name="[nightly] :moon:", definition="report", business_key="report-{date}",
                cron="0 3 * * 1-5"),
        actor=None,
        reason="because",
    )  # fmt: skip

    [row] = [line for line in piped("schedule", "list") if "report" in line]

    assert "[nightly] :moon:" in row


@pytest.mark.parametrize("command", ["verify", "graph"])
def test_whoever_reads_a_pipe_may_stop_before_its_end(command: str) -> None:
    file = "examples/definitions/travel-booking.yaml"
    arguments = [sys.executable, "manage.py", "saga", "--skip-checks", command, file]
    with subprocess.Popen(
        arguments, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        told = process.stderr.read()

    assert told == ""
