"""docs/definition-format.md shows what the code does."""

import re
from pathlib import Path
from textwrap import indent

from sagas.definitions import Saga, approval, declared_sagas, parallel, read_yaml, step
from tests.definitions.test_yaml_format import EXAMPLES, read_example

DOCUMENT = Path(__file__).parents[2] / "docs" / "definition-format.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def test_the_yaml_of_the_document_is_the_example():
    assert blocks("yaml")[0] == (EXAMPLES / "travel-booking.yaml").read_text(encoding="utf-8")


def test_the_class_of_the_document_is_the_same_saga():
    source = blocks("python")[0]

    exec(compile(source, str(DOCUMENT), "exec"), {"__name__": "document"})

    definition = declared_sagas()["TravelBookingSaga"].definition()
    assert definition == read_example("travel-booking.yaml")


def test_the_parallel_steps_of_the_document_are_the_same_in_both_formats():
    [fragment] = [block for block in blocks("yaml") if block.startswith("steps:")]
    definition = read_yaml(f"saga:\n  name: T\n{indent(fragment, '  ')}", filename="document")

    assert [(step.name, step.after) for step in definition.steps] == [
        ("ReserveFlight", None),
        ("ReserveSeat", None),
        ("ReserveHotel", ()),
        ("ChargeCard", (1, 2)),
    ]


def test_the_class_with_parallel_steps_of_the_document_can_be_declared():
    names = {"Saga": Saga, "approval": approval, "parallel": parallel, "step": step}

    exec(compile(blocks("python")[1], str(DOCUMENT), "exec"), {"__name__": "document"} | names)

    assert [step.after for step in declared_sagas()["Trip"].definition().steps] == [
        None,
        (),
        (0, 1),
        None,
    ]
