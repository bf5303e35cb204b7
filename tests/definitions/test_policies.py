import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.definition import NO_RETRY, RetryPolicy
from sagas.definitions.durations import format_duration
from sagas.definitions.policies import read_policy

MILLISECONDS = st.integers(0, 3_600_000).map(lambda n: n / 1000)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("none", NO_RETRY),
        ("none()", NO_RETRY),
        ("exponentialBackoff(3)", RetryPolicy(3, 1, 2, 60, 300, True)),
        ("exponentialBackoff(3, 500ms)", RetryPolicy(3, 0.5, 2, 60, 300, True)),
        ("exponentialBackoff(3, 200ms, 1.5, 2s)", RetryPolicy(3, 0.2, 1.5, 2, 300, True)),
        ("exponentialBackoff( 3,initial=500ms )", RetryPolicy(3, 0.5, 2, 60, 300, True)),
        ("exponentialBackoff(attempts=3, cap=5s)", RetryPolicy(3, 1, 2, 5, 300, True)),
        ("exponentialBackoff(9, total=1h, jitter=false)", RetryPolicy(9, 1, 2, 60, 3600, False)),
        ("fixed(3, 10s)", RetryPolicy(3, 10, 1, 10, 300, False)),
        ("fixed(3, delay=10s, jitter=true)", RetryPolicy(3, 10, 1, 10, 300, True)),
    ],
)
def test_a_policy_is_a_name_with_arguments(text, policy):
    assert read_policy(text) == policy


def test_the_default_cap_is_never_below_the_first_pause():
    assert read_policy("exponentialBackoff(3, 2m)").cap_s == 120


def test_a_fixed_policy_has_time_for_all_its_attempts():
    assert read_policy("fixed(10, 1m)").total_s == 1200
    assert read_policy("fixed(10, 1m, 2m)").total_s == 120


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", '"" is no retry policy; known are none, fixed, exponentialBackoff'),
        ("exponental(3)", '"exponental(3)" is no retry policy; did you mean exponentialBackoff?'),
        (
            "exponential_backoff(3)",
            '"exponential_backoff(3)" is no retry policy; did you mean exponentialBackoff?',
        ),
        ("none(3)", '"none(3)" is no retry policy; did you mean none?'),
        ("fixed(3", '"fixed(3" is no retry policy; did you mean fixed?'),
        ("fixed", "fixed needs a number of attempts; write for example fixed(3, 10s)"),
        ("fixed(3)", "fixed needs delay; write for example fixed(3, 10s)"),
        (
            "exponentialBackoff()",
            "exponentialBackoff needs attempts; write for example exponentialBackoff(3)",
        ),
        (
            "exponentialBackoff(three)",
            'attempts of exponentialBackoff: "three" is no whole number; write for example 3',
        ),
        (
            "exponentialBackoff(3,)",
            'initial of exponentialBackoff: "" is no duration; write for example 10s, 500ms, 5m',
        ),
        (
            "exponentialBackoff(3, factor=two)",
            'factor of exponentialBackoff: "two" is no number; write for example 2 or 1.5',
        ),
        ("fixed(3, 1s, jitter=maybe)", 'jitter of fixed: "maybe" is neither true nor false'),
        (
            "exponentialBackoff(3, inital=1s)",
            'exponentialBackoff has no argument "inital"; did you mean initial?',
        ),
        (
            "fixed(3, 1s, attempts=4)",
            "attempts is given twice; the order is fixed(attempts, delay, total, jitter)",
        ),
        (
            "fixed(delay=1s, 3)",
            '"3" is out of place; the order is fixed(attempts, delay, total, jitter)',
        ),
        (
            "fixed(3, 1s, 2s, true, 5)",
            '"5" is out of place; the order is fixed(attempts, delay, total, jitter)',
        ),
    ],
)
def test_a_policy_that_cannot_be_read_says_why(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_policy(text)


@given(st.integers(1, 99), MILLISECONDS, st.integers(1, 10), MILLISECONDS, st.booleans())
def test_every_policy_that_can_be_written_reads_back(attempts, initial, factor, cap, jitter):
    text = (
        f"exponentialBackoff({attempts}, {format_duration(initial)}, {factor}, "
        f"cap={format_duration(cap)}, jitter={str(jitter).lower()})"
    )

    assert read_policy(text) == RetryPolicy(attempts, initial, factor, cap, 300, jitter)


@given(st.text() | st.from_regex(r"(fixed|exponentialBackoff)\(.*\)", fullmatch=True))
def test_no_text_raises_anything_but_a_value_error(text):
    with suppress(ValueError):
        assert isinstance(read_policy(text), RetryPolicy)
