"""Numbers on the command line, each with its bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cyclopts import Parameter, Token

from safelight.domain.errors import InvalidParameter
from safelight.domain.money import parse_usd
from safelight.domain.numbers import BEYOND, number_within

MOST_ROWS = 10_000
_HOURS = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII)


def whole(least: int, most: int) -> Parameter:
    """An option that takes a whole number within bounds: every digit of it, and no other spelling of a number."""

    def read(_: type, tokens: Sequence[Token]) -> int:
        number = number_within(tokens[0].value, least, most)
        if number is None:
            raise ValueError(f"{tokens[0].value!r} is not a whole number from {least} to {most}.")
        return number

    return Parameter(converter=read)


ROW = whole(1, BEYOND - 1)
"""An option that takes the number of something in the database."""


def hours(most: int) -> Parameter:
    """An option that takes hours, with a fraction or without one."""

    def read(_: type, tokens: Sequence[Token]) -> float:
        text = tokens[0].value
        if not (_HOURS.fullmatch(text) and float(text) <= most):
            raise ValueError(f"{text!r} is not a number of hours from 0 to {most}.")
        return float(text)

    return Parameter(converter=read)


def amount(text: str) -> int:
    """Nano-dollars of an amount such as ``25``, ``0.50`` or ``-3``. Raises ``InvalidParameter``."""
    try:
        nanos = parse_usd(text.removeprefix("-"))
    except ValueError as error:
        raise InvalidParameter(f"{error}.") from None
    return -nanos if text.startswith("-") else nanos
