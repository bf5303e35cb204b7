"""Definitions and YAML texts for the tests: a correct one each, and what a test changes."""

from textwrap import dedent, indent

import pytest

from sagas.core.definition import Definition, Step
from sagas.definitions import DefinitionError, read_yaml

FILE = "travel.yaml"


def make_step(name="ReserveFlight", **changes):
    fields = {"participant": "FlightService", "action": "reserve", "compensation": f"undo{name}"}
    return Step(name, **fields | changes)


def make_definition(*steps, **changes):
    return Definition(**{"name": "Travel", "steps": steps or (make_step(),)} | changes)


def make_yaml(*, step="", saga=""):
    """Return a saga of one step with more lines for the step (from line 8) and for the saga."""
    return (
        dedent("""\
            saga:
              name: Travel
              steps:
                - name: ReserveFlight
                  service: FlightService
                  action: reserveFlight
                  compensation: cancelFlight
            """)
        + indent(dedent(step).strip("\n"), "      ")
        + ("\n" if step else "")
        + indent(dedent(saga).strip("\n"), "  ")
        + ("\n" if saga else "")
    )


def problems_of(text, **options):
    """Return the lines of the error that a YAML text leads to."""
    with pytest.raises(DefinitionError) as caught:
        read_yaml(text, filename=FILE, **options)
    return str(caught.value).splitlines()
