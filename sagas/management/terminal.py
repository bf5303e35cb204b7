"""How wide the output of a command may be."""

from __future__ import annotations

import os
from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.table import Table

# More than any line has: what is not read in a terminal is as wide as its content.
UNBOUNDED = 100_000


def console_on(file: TextIO) -> Console:
    """Return a console that is as wide as `width_of` says; texts are data, never markup."""
    return _console(file, file)


def write_table(table: Table, file: TextIO) -> None:
    """Write a table without lines around it, and without the spaces that fill its last column."""
    written = StringIO()
    _console(written, file).print(table)
    for line in written.getvalue().removesuffix("\n").split("\n"):
        file.write(line.rstrip() + "\n")


def _console(written: TextIO, file: TextIO) -> Console:
    """Return a console that writes as if to the file."""
    return Console(
        file=written,
        width=width_of(file),
        # None: FORCE_COLOR and the like decide.
        force_terminal=file.isatty() or None,
        markup=False,
        emoji=False,
    )


def width_of(file: TextIO) -> int:
    """Return how many columns there are: of the terminal, or without one as many as are needed.

    The variable COLUMNS counts more than both. Rich itself takes 80 columns for a pipe or a log,
    and squeezes what is in a table into them.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    if not file.isatty():
        return UNBOUNDED
    # The output's own terminal: that of the input may be another one. 0: it does not know.
    return os.get_terminal_size(file.fileno()).columns or 80
