"""Header fields that requests and answers share (RFC 9110)."""

from __future__ import annotations

# A store passes on what its client said: ``aws-chunked`` was the framing of an upload, and is gone by then.
_CODES_NOTHING = ("", "identity", "aws-chunked")


def coding_in(content_encoding: str | None) -> str | None:
    """The first coding that a ``Content-Encoding`` names (section 8.4); None where the content is as it is."""
    codings = [coding.strip().lower() for coding in (content_encoding or "").split(",")]
    return next((coding for coding in codings if coding not in _CODES_NOTHING), None)
