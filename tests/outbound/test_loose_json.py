"""What is read of JSON that may be of any shape, and what is not taken for what it seems."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.outbound.loose_json import (
    MOST_NUMBERS,
    at,
    first_whole_in,
    id_in,
    is_count,
    is_number,
    numbers_in,
    object_in,
    objects_in,
    text_in,
    whole_in,
)

HUGE = 10**400
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(HUGE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def test_a_path_leads_through_objects_alone() -> None:
    document = {"a": {"b": [1]}}
    assert at(document, "a", "b") == [1]
    assert at(document) is document
    assert [at(document, "a", "c"), at(document, "a", "b", "c"), at(None, "a"), at([document], "a")] == [None] * 4


@pytest.mark.parametrize("value", [None, True, 7, "{}", [{}]])
def test_what_is_no_object_is_an_empty_one(value: object) -> None:
    assert object_in(value) == {}


def test_an_object_is_itself() -> None:
    value = {"a": 1}
    assert object_in(value) is value


def test_objects_are_those_of_a_list_and_of_its_beginning() -> None:
    assert objects_in([{"a": 1}, None, "b", [{}], {"c": 2}]) == [{"a": 1}, {"c": 2}]
    assert objects_in([None, {"a": 1}, {"c": 2}], 2) == [{"a": 1}]
    assert [objects_in(value) for value in (None, {"a": {}}, "ab", 3)] == [[]] * 4


def test_a_text_is_cut_and_nothing_else_is_one() -> None:
    assert [text_in("abc"), text_in("abc", 2), text_in("abc", 9)] == ["abc", "ab", "abc"]
    assert {text_in(value) for value in (None, 1, True, b"a", ["a"], {"a": 1})} == {""}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a", "a"),
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, None),
        ("", None),
        (0, "0"),
        (2**64 - 1, str(2**64 - 1)),
        (2**64, None),
        (-1, None),
        (True, None),
        (1.0, None),
        (None, None),
        (["a"], None),
    ],
)
def test_an_id_is_a_text_or_a_whole_number_and_no_longer_than_one_is(value: object, told: str | None) -> None:
    assert id_in(value) == told


def test_an_id_may_be_bounded_more_narrowly() -> None:
    assert [id_in("abc", 3), id_in("abcd", 3)] == ["abc", None]


@pytest.mark.parametrize(
    ("value", "number", "count", "whole"),
    [
        (0, True, True, 0),
        (3, True, True, 3),
        (3.0, True, True, 3),
        (3.5, True, True, None),
        (-1, True, False, None),
        (-0.5, True, False, None),
        (2**53 - 1, True, True, 2**53 - 1),
        (2**53, False, False, None),
        (-(2**53), False, False, None),
        (HUGE, False, False, None),
        (math.inf, False, False, None),
        (-math.inf, False, False, None),
        (math.nan, False, False, None),
        (True, False, False, None),
        ("3", False, False, None),
        (None, False, False, None),
    ],
)
def test_numbers_are_those_that_can_be_reckoned_with(
    value: object, number: bool, count: bool, whole: int | None
) -> None:
    assert (is_number(value), is_count(value), whole_in(value)) == (number, count, whole)


def test_a_number_may_be_bounded_more_widely() -> None:
    assert [is_number(2**64 - 1, 2**64), is_number(2**64, 2**64)] == [True, False]


def test_the_first_name_that_tells_a_whole_number_counts() -> None:
    told = {"a": 1.5, "b": None, "c": 0, "d": 4}
    assert [first_whole_in(told, "a", "b", "c", "d"), first_whole_in(told, "a", "e")] == [0, None]


def test_counts_are_kept_and_texts_are_not() -> None:
    usage = {"tokens": 3, "zero": 0, "less": -1, "flag": True, "text": "sk-secret", "inner": {"a": 1.5, "b": "x"}}
    assert numbers_in(usage) == {"tokens": 3, "zero": 0}
    assert numbers_in(usage, 1) == {"tokens": 3, "zero": 0, "inner": {"a": 1.5}}
    assert numbers_in(usage, 1, with_zeros=False) == {"tokens": 3, "inner": {"a": 1.5}}
    assert [numbers_in(value) for value in (None, [1], "a", {"text": "b"})] == [{}] * 4


def test_so_many_levels_so_many_counts_and_so_much_of_a_name() -> None:
    assert numbers_in({"a": {"b": {"c": 1}, "d": 2}}, 1) == {"a": {"d": 2}}
    assert numbers_in({"a": {"b": {"c": 1}}}, 1) == {}, "an object without any is left out"
    assert len(numbers_in({str(n): n for n in range(1000)})) == MOST_NUMBERS
    assert numbers_in({"n" * 1000: 1}) == {"n" * 100: 1}


@given(DOCUMENTS)
def test_nothing_is_at_odds_with_them(document: Any) -> None:
    assert isinstance(object_in(document), dict)
    assert all(isinstance(each, dict) for each in objects_in(document, 3))
    assert len(text_in(document, 5)) <= 5
    assert id_in(document) is None or id_in(document)
    assert whole_in(document) is None or whole_in(document) == document
    numbers = numbers_in(document, 2)
    assert numbers_in(numbers, 2) == numbers
