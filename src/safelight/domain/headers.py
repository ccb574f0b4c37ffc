"""Header fields that requests and answers share (RFC 9110)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from safelight.domain.numbers import whole_number

# A store passes on what its client said: ``aws-chunked`` was the framing of an upload, and is gone by then.
_CODES_NOTHING = ("", "identity", "aws-chunked")


def coding_in(content_encoding: str | None) -> str | None:
    """The first coding that a ``Content-Encoding`` names (section 8.4); None where the content is as it is."""
    codings = [coding.strip().lower() for coding in (content_encoding or "").split(",")]
    return next((coding for coding in codings if coding not in _CODES_NOTHING), None)


def retry_after_seconds(header: str | None, now: datetime) -> float:
    """Seconds from a ``Retry-After``, a number or a date (section 10.2.3); 0 for one that cannot be read."""
    text = (header or "").strip()
    seconds = whole_number(text)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # no date, or one with a number that no calendar has
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
