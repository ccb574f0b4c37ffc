"""Others' words: short, whole, and without what is secret."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.text import first_bytes, without_secrets

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)


@given(secret=SECRETS, before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_secret_is_found_however_it_is_spelt(secret: str, before: str, after: str) -> None:
    basic = base64.b64encode(f"{before}:{secret}{after}".encode("utf-8", "replace")).decode()
    spellings = [secret, quote(secret, safe=""), json.dumps(secret), basic, basic.replace("+", "-").replace("/", "_")]
    for spelling in spellings:
        cleared = without_secrets(f"key {spelling} is wrong", [secret])
        assert "***" in cleared, spelling
        assert secret not in cleared
        assert spelling not in cleared


def test_what_is_no_secret_stays() -> None:
    assert without_secrets("a quick brown fox", ["", "zebra"]) == "a quick brown fox"
    assert without_secrets("ab", ["a", "b"]) == "******"


@given(text=st.text(max_size=200), most=st.integers(min_value=0, max_value=100))
def test_the_beginning_of_a_text_fits(text: str, most: int) -> None:
    begun = first_bytes(text, most)
    assert len(begun.encode()) <= most
    assert text.replace("\0", "").encode("utf-8", "replace").decode().startswith(begun)


def test_half_a_character_is_left_out() -> None:
    assert first_bytes("aé", 2) == "a"
    assert first_bytes("aé", 3) == "aé"
    assert first_bytes("a\ud800\0b", 10) == "a?b"
