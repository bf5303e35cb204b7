from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.definitions.durations import LONGEST_S, format_duration, read_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("10s", 10),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86_400),
        ("0s", 0),
        ("1.5h", 5400),
        ("100ms", 0.1),
        ("365d", LONGEST_S),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10 sec", "s", "-1s", "10S", "1m30s", "٣s", "1e3s", "10s "])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="is no duration; write for example 10s, 500ms, 5m"):
        read_duration(text)


def test_a_number_without_unit_is_refused_with_its_unit():
    with pytest.raises(ValueError, match=r"^10 has no unit; write for example 10s$"):
        read_duration("10")


def test_a_duration_longer_than_a_year_is_refused():
    with pytest.raises(ValueError, match="366d is longer than the longest duration, 365d"):
        read_duration("366d")


@given(st.integers(0, int(LONGEST_S) * 1000))
def test_formatting_and_reading_give_the_same_seconds(milliseconds):
    seconds = milliseconds / 1000

    assert read_duration(format_duration(seconds)) == seconds


@given(st.text())
def test_no_text_raises_anything_but_a_value_error(text):
    with suppress(ValueError):
        assert 0 <= read_duration(text) <= LONGEST_S
