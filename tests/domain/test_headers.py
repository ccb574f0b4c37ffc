"""What header fields from outside mean, whoever sends them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from safelight.domain.headers import retry_after_seconds
from safelight.domain.numbers import BEYOND

NOW = datetime(2026, 5, 2, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 007 ", 7),
        ("9" * 5000, BEYOND),
        ("Sat, 02 May 2026 12:30:42 GMT", 42),
        ("Saturday, 02-May-26 12:31:00 GMT", 60),  # the obsolete form of RFC 850
        ("Sat May  2 13:30:00 2026", 3600),  # and that of asctime
        ("Sat, 02 May 2026 12:29:00 GMT", 0),
        (None, 0),
        *((text, 0) for text in ("", "-5", "+5", "1.5", "1e3", "1_0", "٣", "²", "inf", "soon", "99 May 2026")),
    ],
)
def test_how_long_to_wait(field: str | None, seconds: float) -> None:
    assert retry_after_seconds(field, NOW) == seconds
