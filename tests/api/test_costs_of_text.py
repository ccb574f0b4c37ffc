"""What strangers can send as text costs time in proportion to its length: with its square, none of these would end."""

from __future__ import annotations

import pytest

from safelight.api.bodies import parse_json
from safelight.domain.errors import InvalidParameter
from safelight.telemetry.logs import redact_text

MANY = 300_000


@pytest.mark.parametrize("word", ["x", "://", "a:", "sk_", "bearer ", "bearer\t", "sig=", "@", "/"])
def test_redaction(word: str) -> None:
    assert redact_text(word * MANY)


@pytest.mark.parametrize(
    "text",
    ['{"a":' * MANY, "[" * MANY, "9" * MANY, '"' + r"\u0041" * MANY + '"', " " * MANY, '"' * MANY, "-" * MANY],
    ids=lambda text: text[:5],
)
def test_parsing(text: str) -> None:
    try:
        assert parse_json(text.encode())
    except InvalidParameter as error:
        assert len(error.message) < 200
