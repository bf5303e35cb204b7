"""manage.py saga graph: draw a definition."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, TextIO

from sagas.catalogue import find_definition
from sagas.core.definition import Definition
from sagas.definitions import read_yaml
from sagas.definitions.drawing import to_svg
from sagas.definitions.graphs import to_mermaid

FORMATS = ("svg", "mermaid")


def add_graph(commands: Any) -> None:
    """Add the command to those of `manage.py saga`."""
    parser = commands.add_parser("graph", help="draw a definition as SVG or Mermaid")
    parser.add_argument("source", help="FILE.yaml, or the name of a stored definition")
    parser.add_argument("--format", choices=FORMATS, default="svg")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--version-number", type=int, help="of a stored one; default: the newest")


def graph(given: Namespace, stdout: TextIO) -> None:
    """Write the drawing. Raises DefinitionError, DefinitionNotFound and OSError."""
    definition = _read(given.source, given.version_number)
    drawing = to_mermaid(definition) if given.format == "mermaid" else to_svg(definition)
    if given.output is None:
        stdout.write(drawing)
    else:
        given.output.write_text(drawing, encoding="utf-8")


def _read(source: str, version: int | None) -> Definition:
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return read_yaml(path.read_text(encoding="utf-8"), filename=source)
    return find_definition(source, version).as_core()
