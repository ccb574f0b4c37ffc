"""US dollars as integer nano-dollars: one dollar is 1,000,000,000. No float ever holds money."""

from __future__ import annotations

import re
from decimal import Decimal

NANOS_PER_USD = 1_000_000_000
MAX_NANOS = 2**63 - 1  # what a PostgreSQL bigint holds: 9.2 billion dollars

_AMOUNT = re.compile(r"(0|[1-9]\d{0,9})(?:\.(\d{1,9}))?", re.ASCII)


def parse_usd(text: str) -> int:
    """Nano-dollars of a plain decimal such as ``0.045``. Raises ``ValueError`` for anything else."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount in dollars; write it as 12.34, with at most 9 decimals")
    nanos = int(match[1]) * NANOS_PER_USD + int((match[2] or "").ljust(9, "0"))
    if nanos > MAX_NANOS:
        raise ValueError(f"{text!r} is more than an account can hold")
    return nanos


def as_decimal(nanos: int) -> Decimal:
    """Dollars as an exact decimal without trailing zeros, fit to be written as a JSON number."""
    value = (Decimal(nanos) / NANOS_PER_USD).normalize()
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value


def format_usd(nanos: int, *, decimals: int = 2) -> str:
    """Dollars as a decimal string, exact, with at least ``decimals`` digits after the point."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), NANOS_PER_USD)
    digits = f"{rest:09d}".rstrip("0").ljust(decimals, "0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
