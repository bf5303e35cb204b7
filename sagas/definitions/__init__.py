"""Definitions of sagas: read from YAML or from Python classes, and validated.

read_yaml(text, filename=...) -> Definition          a YAML file
class TravelBooking(Saga): ...                       a Python class
TravelBooking.definition() -> Definition
validate(definition, participants=...)               raises DefinitionError
"""

from sagas.definitions.exceptions import DefinitionError, Place, Problem
from sagas.definitions.python_format import (
    Saga,
    approval,
    declared_sagas,
    exponential_backoff,
    fixed,
    parallel,
    scenario,
    signal,
    step,
    sub_saga,
    timer,
)
from sagas.definitions.validation import validate
from sagas.definitions.yaml_format import read_yaml

__all__ = [
    "DefinitionError",
    "Place",
    "Problem",
    "Saga",
    "approval",
    "declared_sagas",
    "exponential_backoff",
    "fixed",
    "parallel",
    "read_yaml",
    "scenario",
    "signal",
    "step",
    "sub_saga",
    "timer",
    "validate",
]
