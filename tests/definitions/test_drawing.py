"""A definition as a drawing: Mermaid text and SVG."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.definition import Kind, StepType
from sagas.definitions import read_yaml
from sagas.definitions.drawing import to_svg
from sagas.definitions.graphs import ENGLISH, to_mermaid
from sagas.definitions.layouts import lay_out
from tests.definitions.builders import FILE, make_definition, make_step
from tests.definitions.test_yaml_steps import TRIP

SVG = "{http://www.w3.org/2000/svg}"


def read_trip():
    return read_yaml(TRIP, filename=FILE)


def parse(definition, **options):
    return ElementTree.fromstring(to_svg(definition, **options))


def texts_of(svg):
    return [element.text for element in svg.iter(f"{SVG}text")]


def boxes_of(svg):
    """Return left, top, right and bottom of the first rectangle of each step."""
    boxes = []
    for group in svg.iter(f"{SVG}g"):
        rectangle = group.find(f"{SVG}rect")
        x, y, width, height = (float(rectangle.get(k)) for k in ("x", "y", "width", "height"))
        boxes.append((x, y, x + width, y + height))
    return boxes


def test_mermaid_shows_steps_kinds_waits_undos_and_order():
    text = to_mermaid(
        make_definition(
            make_step("A"),
            make_step("B", after=(), kind=Kind.PIVOT, compensation=None),
            make_step("C", type=StepType.TIMER, wait_s=600.0, compensation=None, after=(0, 1)),
        )
    )

    assert text == (
        '---\ntitle: "Travel"\n---\nflowchart TD\n'
        '  s0["<b>A</b><br/>FlightService · reserve<br/>undo: undoA"]\n'
        '  s1["<b>B</b><br/><i>point of no return</i><br/>FlightService · reserve"]\n'
        '  s2(["<b>C</b><br/>waits 10m"])\n'
        "  s0 --> s2\n"
        "  s1 --> s2\n"
        "  style s1 stroke-width:3px\n"
    )


def test_mermaid_takes_no_text_for_its_own():
    text = to_mermaid(make_definition(make_step(when='input.x == "<b>" || `1`;\n  true')))

    assert "only if input.x == #34;#60;b#62;#34; || #96;1#96;#59; true" in text


def test_a_drawing_says_everything_about_its_steps():
    texts = texts_of(parse(read_trip()))

    assert {
        "Ask",
        "Flights · book",
        "undo: cancel",
        "approval by 여행 담당",
        "at most 2d",
        "only if outputs.Ask.price > `1000`",
        "point of no return",
        "saga SendParts",
        "must succeed",
        "waits 10m",
        "waits until input.morning",
        "signal parcelPickedUp",
        "lock: card:{input.card}, desk",
    } <= set(texts)


def test_a_drawing_speaks_the_language_it_is_given():
    words = ENGLISH._replace(undo="보상: {}", pivot="되돌릴 수 없는 지점")

    texts = texts_of(parse(read_trip(), words=words))

    assert {"보상: cancel", "되돌릴 수 없는 지점"} <= set(texts)


def test_names_that_xml_would_take_for_its_own_are_escaped():
    step = make_step(type=StepType.APPROVAL, compensation=None, approvers='</text><script>&"\0')

    assert 'approval by </text><script>&"\N{REPLACEMENT CHARACTER}' in texts_of(
        parse(make_definition(step))
    )


@pytest.mark.parametrize("name", ["환불담당자" * 30, "W" * 150])
def test_a_long_text_is_cut_to_its_box_and_whole_in_its_title(name):
    step = make_step(type=StepType.APPROVAL, compensation=None, approvers=name)

    svg = parse(make_definition(step))

    [[left, _, right, _]] = boxes_of(svg)
    [line] = [text for text in texts_of(svg) if text.startswith("approval")]
    assert line.endswith("…")
    assert right - left <= 300
    assert name in svg.find(f".//{SVG}title").text


def test_one_for_a_page_has_no_style_and_no_colour_of_its_own():
    text = to_svg(read_trip(), standalone=False)

    assert "<style" not in text
    assert "style=" not in text
    assert not re.search("#[0-9a-f]{3,6}", text)
    assert "<style" in to_svg(read_trip())


def test_steps_stand_below_what_comes_before_them_and_beside_what_does_not():
    boxes = boxes_of(parse(read_trip()))
    ask, flight, seat, hotel = boxes[:4]

    assert ask[3] < flight[1]
    assert flight[3] < seat[1]
    assert flight[1] == hotel[1]
    assert flight[2] < hotel[0] or hotel[2] < flight[0]


@st.composite
def graphs(draw):
    """What comes before each step, in any graph that a definition can have."""
    count = draw(st.integers(1, 12))
    return [
        draw(st.lists(st.integers(0, place - 1), unique=True, max_size=4)) if place else []
        for place in range(count)
    ]


@given(graphs())
def test_no_two_boxes_overlap_whatever_the_graph(before):
    layout = lay_out(before, (100.0, 10.0), 20.0)

    width = {node: 100.0 if node < len(before) else 10.0 for row in layout.rows for node in row}
    assert sorted(width) == list(range(len(layout.centres)))
    for row in layout.rows:
        for left, right in itertools.pairwise(row):
            apart = layout.centres[right] - layout.centres[left]
            assert apart >= (width[left] + width[right]) / 2 + 20 - 1e-6
    assert all(centre >= width[node] / 2 - 1e-6 for node, centre in enumerate(layout.centres))


@given(graphs())
def test_every_step_is_drawn_whatever_the_graph(before):
    steps = [make_step(f"S{place}", after=tuple(b)) for place, b in enumerate(before)]

    svg = parse(make_definition(*steps))

    boxes = boxes_of(svg)
    assert len(boxes) == len(before)
    for place, direct in enumerate(before):
        assert all(boxes[earlier][3] < boxes[place][1] for earlier in direct)
    assert max(box[2] for box in boxes) <= float(svg.get("width"))
    assert max(box[3] for box in boxes) <= float(svg.get("height"))
