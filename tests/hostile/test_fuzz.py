"""Whatever arrives, a parser answers with a value or with an error of ours, and never with a surprise.

The parsers of data URLs, addresses, ranges and signatures have their own such tests beside their others.
"""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.api.bodies import parse_body
from safelight.api.getimg.requests import ImageGenerationBody, VideoGenerationBody
from safelight.domain.catalog import Catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.errors import ConfigurationError, InvalidParameter, ParameterMissing
from safelight.domain.ids import read_api_key
from safelight.domain.request import resolve
from safelight.providers.registry import KINDS

CATALOG = tomllib.loads((Path(__file__).parents[2] / "src/safelight/catalog.toml").read_text())
FIELDS = st.sampled_from(
    ["model", "prompt", "aspect_ratio", "resolution", "output_format", "images", "duration", "sound", "store", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS | st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(FIELDS, JSON, max_size=8)


@pytest.mark.parametrize("into", [ImageGenerationBody, VideoGenerationBody])
@settings(max_examples=150, deadline=None)
@given(raw=st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_body_or_a_plain_refusal(into: Any, raw: bytes) -> None:
    try:
        parse_body(raw, into)
    except (InvalidParameter, ParameterMissing) as refused:
        assert refused.message
        assert len(refused.message) < 1000


@settings(max_examples=150, deadline=None)
@given(body=BODIES)
def test_any_object_is_a_request_or_a_refusal_that_names_a_parameter(body: dict[str, Any]) -> None:
    catalog = read_catalog(CATALOG, source="catalog.toml", kinds=KINDS)
    raw = json.dumps({"model": "seedream-5-lite", "prompt": "x", **body}).encode()
    try:
        request = parse_body(raw, ImageGenerationBody).request()
        resolve(request, catalog.for_type(request.model, request.type))
    except (InvalidParameter, ParameterMissing) as refused:
        assert refused.message


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += places(child, (*path, key))
    return found


ONE_MODEL = {
    "models": [CATALOG["models"][0], CATALOG["models"][-1]],
    "connections": [{"name": "here", "kind": "builtin", "processes": 2, "limits": {"concurrency": 1}}],
}


@settings(max_examples=200, deadline=None)
@given(place=st.sampled_from(places(ONE_MODEL)), value=JSON)
def test_any_change_of_a_catalog_is_read_or_refused_with_its_file(place: tuple[Any, ...], value: Any) -> None:
    changed = copy.deepcopy(ONE_MODEL)
    target: Any = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    try:
        assert isinstance(read_catalog(changed, source="catalog.toml", kinds=KINDS), Catalog)
    except ConfigurationError as refused:
        assert refused.message.startswith("catalog.toml")


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80) | st.from_regex(r"sk_[0-9A-Za-z]{45,52}", fullmatch=True))
def test_any_text_is_a_key_or_none(text: str) -> None:
    assert read_api_key(text) is None
