"""Others' words: short, whole, and without what is secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.text import _spellings, first_bytes, listed, without_secrets

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


KEY = "sk-canary/1f9c+77=0123456789abcdef"


@pytest.mark.parametrize(
    "spelling",
    [
        KEY.replace("/", "\\/"),
        KEY.replace("+", "\\u002B"),
        "".join(f"\\u{ord(character):04x}" for character in KEY),
        "".join(f"%{ord(character):02x}" for character in KEY),
        quote(KEY, safe="").replace("%2F", "%2f"),
        quote(KEY),
    ],
)
def test_a_secret_is_found_as_others_write_json_and_urls(spelling: str) -> None:
    assert without_secrets(f"no {spelling}!", [KEY]) == "no ***!"


@pytest.mark.parametrize("left", range(12, len(KEY)))
def test_a_secret_that_was_cut_is_found(left: int) -> None:
    """Whoever repeats it may have cut it, and so may we."""
    assert without_secrets(f"{KEY}, {KEY[:left]}... {quote(KEY, safe='')[:16]}", [KEY]) == "***, ***... ***"
    coded = base64.b64encode(KEY.encode()).decode()
    assert coded[:12] not in without_secrets(coded[:left], [KEY])


LONG = "-----BEGIN KEY-----\n" + "".join(f"{number:03x}/" for number in range(700)) + "\n-----END KEY-----"


@pytest.mark.parametrize("spell", [str, json.dumps, lambda text: quote(text, safe=""), lambda text: text[:-700]])
def test_a_long_secret_is_found_without_a_pattern_of_its_length(spell: Callable[[str], str]) -> None:
    """Such as a key file, or a token that another follows within the hour."""
    assert without_secrets(f"no {spell(LONG)}", [LONG]).replace('"', "") == "no ***"
    coded = base64.b64encode(LONG.encode()).decode()
    assert len(without_secrets(f"no {coded}", [LONG])) < 12
    assert {spelling.whole for spelling in _spellings(LONG)} == {None}


def test_a_beginning_that_many_secrets_have_stays() -> None:
    assert without_secrets("keys begin with sk-canary/1", [KEY]) == "keys begin with sk-canary/1"


def test_a_list_in_a_message_is_short() -> None:
    assert [listed(["a", 1], 2), listed(iter("abc"), 2), listed([], 2)] == ["a, 1", "a, b, ...", ""]
