"""Dollars and nano-dollars: what is read, what is refused, and that nothing is lost on the way."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.money import MAX_NANOS, NANOS_PER_USD, as_decimal, format_usd, parse_usd

AMOUNTS = st.integers(min_value=0, max_value=MAX_NANOS)
SIGNED = st.integers(min_value=-MAX_NANOS, max_value=MAX_NANOS)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("0.0", 0),
        ("25", 25 * NANOS_PER_USD),
        ("0.50", 500_000_000),
        ("0.045", 45_000_000),
        ("0.000000001", 1),
        ("9223372036.854775807", MAX_NANOS),
    ],
)
def test_an_amount_is_read(text: str, nanos: int) -> None:
    assert parse_usd(text) == nanos


@pytest.mark.parametrize(("text", "written"), [("20", "20"), ("1000000", "1000000"), ("0.10", "0.1"), ("0", "0")])
def test_a_decimal_is_written_out(text: str, written: str) -> None:
    assert str(as_decimal(parse_usd(text))) == written


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            " ",
            "1 ",
            " 1",
            "+1",
            "-1",
            "1.",
            ".5",
            "01",
            "1,000",
            "1_000",
            "1e3",
            "1E-3",
            "0x10",
            "NaN",
            "Infinity",
        ],
        *["0.0000000001", "9223372036.854775808", "99999999999", "٣", "1.٣", "1\n", "$1", "1 USD"],
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an amount|more than an account"):
        parse_usd(text)


@given(AMOUNTS, st.integers(min_value=0, max_value=9))
def test_what_is_written_is_read_back(nanos: int, decimals: int) -> None:
    text = format_usd(nanos, decimals=decimals)
    assert parse_usd(text) == nanos
    assert len(text.partition(".")[2]) >= decimals


@given(SIGNED)
def test_a_written_amount_is_the_exact_decimal(nanos: int) -> None:
    assert Decimal(format_usd(nanos)) * NANOS_PER_USD == nanos


@given(SIGNED)
def test_a_decimal_is_exact_and_without_trailing_zeros(nanos: int) -> None:
    value = as_decimal(nanos)
    assert value * NANOS_PER_USD == nanos
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    assert exponent <= 0
    assert exponent == 0 or value.as_tuple().digits[-1] != 0


@given(SIGNED)
def test_a_decimal_is_a_json_number_that_keeps_its_digits(nanos: int) -> None:
    encoded = msgspec.json.Encoder(decimal_format="number").encode(as_decimal(nanos))
    assert json.loads(encoded, parse_float=Decimal, parse_int=Decimal) * NANOS_PER_USD == nanos


@given(SIGNED, SIGNED)
def test_sums_of_nanos_are_sums_of_dollars(a: int, b: int) -> None:
    assert as_decimal(a) + as_decimal(b) == as_decimal(a + b)


@pytest.mark.parametrize(
    ("nanos", "decimals", "text"),
    [
        (12_340_000_000, 2, "12.34"),
        (0, 2, "0.00"),
        (0, 0, "0"),
        (5 * NANOS_PER_USD, 0, "5"),
        (1, 2, "0.000000001"),
        (-3_500_000_000, 2, "-3.50"),
        (-1, 2, "-0.000000001"),
    ],
)
def test_an_amount_is_written(nanos: int, decimals: int, text: str) -> None:
    assert format_usd(nanos, decimals=decimals) == text
