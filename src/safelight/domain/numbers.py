"""Numbers that come as text: every digit is read, and however many there are, reading them costs the same."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MAX_DIGITS = 18
BEYOND = 10**MAX_DIGITS
"""What every greater number is read as: past any bound, and within what a PostgreSQL bigint holds."""

_MAX_JSON_DIGITS = 40  # more than any parameter takes
_EXACT_CHARACTERS = 16  # 15 digits at most, which a float keeps


def whole_number(text: str) -> int | None:
    """The number that decimal digits spell, leading zeros or not; ``BEYOND`` for a greater one. None for other text.

    Digits are those of ASCII. There is no sign, no blank and no point.
    """
    if not (text.isascii() and text.isdecimal()):
        return None
    significant = text.lstrip("0")
    return int(significant or "0") if len(significant) <= MAX_DIGITS else BEYOND


def number_within(text: str, least: int, most: int) -> int | None:
    """As ``whole_number``; None for one that is out of bounds as well."""
    number = whole_number(text)
    return number if number is not None and least <= number <= most else None


def json_integer(text: str) -> int:
    """An integer of a JSON document. Raises ``ValueError`` for one that no parameter could take."""
    digits = len(text.lstrip("-"))
    if digits > _MAX_JSON_DIGITS:
        raise ValueError(f"a number has {digits} digits; use at most {_MAX_JSON_DIGITS}")
    return int(text)


def json_number(text: str) -> int | float:
    """A JSON number with a point or an exponent. It is whole if its value is: ``4.0`` and ``4e0`` are 4.

    JSON Schema tells integers the same way (validation, section 6.1.1). Raises ``ValueError`` for a number that no
    parameter could take.
    """
    if len(text) <= _EXACT_CHARACTERS:  # most are, and this takes a third of the time
        short = float(text)
        if 1e-300 < abs(short) < 1e15:
            return int(short) if short.is_integer() else short
    try:
        value = Decimal(text)
    except InvalidOperation:  # an exponent of 19 digits or so
        raise ValueError("a number has an exponent that is out of range") from None
    if not value:
        return 0
    if value.adjusted() >= _MAX_JSON_DIGITS:
        raise ValueError(f"a number has {value.adjusted() + 1} digits; use at most {_MAX_JSON_DIGITS}")
    is_whole = value.adjusted() >= 0 and value == value.to_integral_value()
    return int(value) if is_whole else float(text)
