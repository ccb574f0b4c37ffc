"""Request ids sort by time; API keys hold 256 random bits and know when they are mistyped."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain import ids
from safelight.domain.ids import is_generation_id, new_api_key, new_generation_id, new_ulid, read_api_key

KEY = new_api_key()
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_a_generation_id_is_one() -> None:
    made = {new_generation_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(is_generation_id(each) for each in made)


@given(st.integers(min_value=0, max_value=2**48 - 1), st.integers(min_value=0, max_value=2**48 - 1))
def test_ids_sort_by_time(a: int, b: int) -> None:
    if a != b:
        assert (new_ulid(a) < new_ulid(b)) == (a < b)


def test_the_last_moment_that_an_id_can_tell_fits() -> None:
    assert is_generation_id(f"req-{new_ulid(2**48 - 1)}")


GOOD_ID = "req-01JZ0000000000000000000000"


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD_ID[4:],
        GOOD_ID.lower(),
        f"{GOOD_ID}\n",
        f" {GOOD_ID}",
        GOOD_ID[:-1],
        f"{GOOD_ID}0",
        GOOD_ID.replace("01JZ", "81JZ"),
        *(GOOD_ID[:-1] + letter for letter in "ILOU"),
        "req-01JZ000000000000000000000\uff10",
    ],
)
def test_what_is_no_generation_id(text: str) -> None:
    assert not is_generation_id(text)


def test_a_key_carries_at_least_160_random_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(ids.secrets, "randbits", lambda bits: asked.append(bits) or 2**bits - 1)
    largest = new_api_key()
    monkeypatch.setattr(ids.secrets, "randbits", lambda bits: 2**bits - 2)
    assert asked == [256]
    assert read_api_key(largest) is not None
    assert new_api_key() != largest, "the lowest bit is lost"
    assert 62**43 >= 2**256, "43 characters hold every value"


def test_a_key_is_read() -> None:
    assert re.fullmatch(r"sk_[0-9A-Za-z]{49}", KEY)
    read = read_api_key(KEY)
    assert read is not None
    assert read.sha256 == hashlib.sha256(KEY.encode()).digest()
    assert (read.prefix, read.last_four) == (KEY[:7], KEY[-4:])


def test_what_is_kept_of_a_key_leaves_enough_unknown() -> None:
    """4 characters of the secret and 4 of its checksum are kept: 39 times log2(62) bits stay unknown."""
    read = read_api_key(KEY)
    assert read is not None
    shown = len(read.prefix.removeprefix("sk_"))
    assert (43 - shown) * 5.95 - 32 >= 160, "even with all of the checksum known"


@given(st.integers(min_value=3, max_value=len(KEY) - 1), st.sampled_from(ALPHABET))
def test_a_mistyped_key_is_known_without_the_database(position: int, letter: str) -> None:
    mistyped = KEY[:position] + letter + KEY[position + 1 :]
    assert (read_api_key(mistyped) is None) == (mistyped != KEY)


@given(st.integers(min_value=3, max_value=len(KEY) - 2))
def test_two_characters_swapped_are_noticed(position: int) -> None:
    swapped = KEY[:position] + KEY[position + 1] + KEY[position] + KEY[position + 2 :]
    assert (read_api_key(swapped) is None) == (swapped != KEY)


@given(st.text() | st.text(alphabet=ALPHABET, min_size=49, max_size=49).map(lambda text: f"sk_{text}"))
def test_nothing_else_is_a_key(text: str) -> None:
    assert read_api_key(text) is None


def test_a_key_with_something_around_it_is_none() -> None:
    for text in (f"{KEY}\n", f" {KEY}", KEY.upper(), KEY[3:], f"{KEY}0", KEY[:-1], f"pk_{KEY[3:]}"):
        assert read_api_key(text) is None, text
