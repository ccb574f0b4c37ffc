"""Why a body is refused is told from its struct's own types, and agrees with what refuses it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from safelight.api.faults import fault_in
from safelight.api.getimg.requests import ImageGenerationBody, VideoGenerationBody


class Point(msgspec.Struct, forbid_unknown_fields=True):
    """A struct within another."""

    x: int
    where: Literal["left", "right"] | msgspec.UnsetType = msgspec.UNSET


class Everything(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Every type that a body's field may have."""

    word: Annotated[str, Meta(min_length=1, max_length=3)]
    number: Annotated[int, Meta(ge=2, le=5)] = 2
    share: Annotated[float, Meta(gt=-1, lt=1)] = 0
    flag: bool = False
    point: Point | None = None
    points: Annotated[list[Point], Meta(min_length=1, max_length=2)] = msgspec.field(default_factory=list)
    words: str | list[str] = ""
    table: dict[str, int] = msgspec.field(default_factory=dict)
    anything: Any = None


NAMES = sorted({*Everything.__struct_fields__, *VideoGenerationBody.__struct_fields__, "x", "where", "url", "role"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.floats() | st.text(max_size=4) | st.sampled_from(["left"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("into", [Everything, ImageGenerationBody, VideoGenerationBody])
@settings(max_examples=300, deadline=None)
@given(document=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8))
def test_there_is_a_fault_exactly_where_msgspec_refuses(into: Any, document: dict[str, Any]) -> None:
    document = {"word": "x", **document} if into is Everything else {"model": "m", "prompt": "p", **document}
    document = {name: value for name, value in document.items() if name in into.__struct_fields__}
    try:
        msgspec.convert(document, into)
    except msgspec.ValidationError:
        assert fault_in(document, into) is not None
    else:
        assert fault_in(document, into) is None


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"word": "long"}, "word", "word: expected a string of at most 3 characters."),
        ({"word": ""}, "word", "word: expected a string that is not empty."),
        ({"number": 1}, "number", "number: expected a whole number >= 2."),
        ({"number": 9}, "number", "number: expected a whole number <= 5."),
        ({"number": True}, "number", "number: expected a whole number, got true or false."),
        ({"share": -1}, "share", "share: expected a whole number > -1."),
        ({"share": 1.5}, "share", "share: expected a number with a fraction < 1."),
        ({"share": "x"}, "share", "share: expected a number with a fraction, got a string."),
        ({"point": {"x": "x"}}, "point.x", "point.x: expected a whole number, got a string."),
        ({"point": 5}, "point", "point: expected an object, got a whole number."),
        ({"points": []}, "points", "points: expected a list that is not empty."),
        ({"points": [{"x": 1}, {}]}, "points[1].x", "points[1].x is missing. It is required."),
        (
            {"points": [{"x": 1, "y": 2}]},
            "points[0].y",
            "points[0].y is not a parameter of this call. It takes: x, where.",
        ),
        (
            {"points": [{"x": 1, "where": "up"}]},
            "points[0].where",
            "points[0].where is not supported. Use one of: left, right.",
        ),
        ({"words": ["a", 5]}, "words[1]", "words[1]: expected a string, got a whole number."),
        ({"words": 5}, "words", "words: expected a string or a list, got a whole number."),
        ({"table": {"a": 1, "b": None}}, "table.b", "table.b: expected a whole number, got null."),
    ],
)
def test_what_is_said(fields: dict[str, Any], param: str, says: str) -> None:
    fault = fault_in({"word": "x", **fields}, Everything)
    assert fault is not None
    assert (fault.param, fault.message) == (param, says)
