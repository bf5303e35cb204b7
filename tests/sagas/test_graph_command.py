"""manage.py saga graph: the drawing of a file or of what is stored."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.builders import make_step, store

TRIP = "examples/definitions/parallel-trip.yaml"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("saga", "graph", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_a_file_is_drawn_as_svg_or_mermaid() -> None:
    assert run(TRIP).startswith("<svg ")
    assert "flowchart TD" in run(TRIP, "--format", "mermaid")


def test_a_drawing_can_go_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "trip.svg"

    assert run(TRIP, "--output", str(file)) == ""

    assert file.read_text().startswith("<svg ")


@pytest.mark.django_db
def test_a_stored_definition_is_drawn_by_its_name() -> None:
    store(make_step("First"))
    store(make_step("Second"))

    assert "Second" in run("test", "--format", "mermaid")
    assert "First" in run("test", "--format", "mermaid", "--version-number", "1")


def test_a_file_with_faults_names_them(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("saga:\n  name: Bad\n  steps:\n    - name: A\n      wait: ten\n")

    with pytest.raises(CommandError, match=r"bad\.yaml:5"):
        run(str(file))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("source", "message"),
    [("none", "There is no definition none"), ("none.yaml", "No such file")],
)
def test_what_is_not_there_is_said(source: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(source)
