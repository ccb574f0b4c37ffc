"""Amounts on the command line."""

from __future__ import annotations

from safelight.domain.errors import InvalidParameter
from safelight.domain.money import parse_usd


def amount(text: str) -> int:
    """Nano-dollars of an amount such as ``25``, ``0.50`` or ``-3``. Raises ``InvalidParameter``."""
    try:
        nanos = parse_usd(text.removeprefix("-"))
    except ValueError as error:
        raise InvalidParameter(f"{error}.") from None
    return -nanos if text.startswith("-") else nanos
