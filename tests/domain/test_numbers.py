"""Numbers that come as text: all of their digits count, and none of them cost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.numbers import BEYOND, json_integer, json_number, number_within, whole_number


@given(number=st.integers(0, 10**30), zeros=st.integers(0, 30))
def test_every_digit_is_read(number: int, zeros: int) -> None:
    assert whole_number("0" * zeros + str(number)) == min(number, BEYOND)
    assert number_within("0" * zeros + str(number), 1, 100) == (number if 1 <= number <= 100 else None)


@pytest.mark.parametrize(
    "text", ["", " ", "-1", "+1", "1 ", "1.0", "1e3", "0x10", "1_000", "１", "²", "٣", "nan", "inf", "1\n", "1\0"]
)
def test_nothing_else_is_a_number(text: str) -> None:
    assert whole_number(text) is None
    assert number_within(text, 0, 100) is None


def test_a_long_number_is_never_converted() -> None:
    """Python's own conversion takes time with the square of the length, and refuses from 4,301 digits on."""
    assert whole_number("9" * 10_000) == whole_number("0" * 10_000 + "1" + "0" * 10_000) == BEYOND
    assert whole_number("0" * 10_000 + "7") == 7


@given(
    number=st.integers(-(10**39), 10**39)
    | st.floats(allow_nan=False, allow_infinity=False, max_value=1e39, min_value=-1e39)
)
def test_json_numbers_keep_their_value(number: float) -> None:
    read = json.loads(json.dumps(number), parse_int=json_integer, parse_float=json_number)
    assert float(read) == float(number)
    assert isinstance(read, int) == (number == int(number))


@pytest.mark.parametrize("text", ["1e40", "1e400", "-1e999999", "1e99999999999999999999", "1e-99999999999999999999"])
def test_json_numbers_that_nothing_takes(text: str) -> None:
    with pytest.raises(ValueError, match="a number has"):
        json_number(text)


def test_the_smallest_fractions_are_no_whole_numbers() -> None:
    assert isinstance(json_number("1e-400"), float)
    assert isinstance(json_number("4." + "0" * 10_000 + "1"), float)
    assert json_number("4." + "0" * 10_000) == 4
