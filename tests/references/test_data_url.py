from __future__ import annotations

import base64
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.domain.errors import InvalidParameter
from safelight.references.data_url import MAX_IMAGE_BYTES, looks_like_bare_base64, parse_data_url

PARAM = "images[0].url"


def _url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200), st.sampled_from(["png", "jpeg", "webp"]))
def test_what_was_encoded_comes_back(data: bytes, kind: str) -> None:
    assert parse_data_url(_url(data, kind), PARAM) == (f"image/{kind}", data)


def test_scheme_and_type_in_any_case() -> None:
    assert parse_data_url("DATA:Image/PNG;Base64,AAAA", PARAM) == ("image/png", b"\0\0\0")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("image/jpg", "image/jpeg"),
        ("image/JPG", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("image/jfif", "image/jpeg"),
        ("image/x-png", "image/png"),
        ("image/x-webp", "image/webp"),
        ("image/png;charset=utf-8", "image/png"),
        ("image/jpg; name=photo.jpg", "image/jpeg"),
    ],
)
def test_aliases_and_parameters(written: str, meant: str) -> None:
    assert parse_data_url(f"data:{written};base64,AAAA", PARAM) == (meant, b"\0\0\0")


def test_a_type_that_is_not_taken_is_named() -> None:
    with pytest.raises(InvalidParameter, match="not 'image/gif'"):
        parse_data_url("data:image/gif;base64,AAAA", PARAM)


REFUSED = {
    "no type": "data:;base64,AAAA",
    "another type": "data:image/gif;base64,AAAA",
    "a video": "data:video/mp4;base64,AAAA",
    "SVG": "data:image/svg+xml;base64,AAAA",
    "the type after the coding": "data:base64;image/png,AAAA",
    "a head that does not end": f"data:image/png;{'x' * 300};base64,AAAA",
    "not base64": "data:image/png,AAAA",
    "percent-encoded": "data:image/png;base64,AA%41A",
    "no comma": "data:image/png;base64",
    "empty": "data:image/png;base64,",
    "space at the start": " data:image/png;base64,AAAA",
    "space inside": "data:image/png;base64,AAAA AAA",
    "space first": "data:image/png;base64, AAA",
    "line break": "data:image/png;base64,AAAA\nAAA",
    "line break at the end": "data:image/png;base64,AAAA\n",
    "URL alphabet": "data:image/png;base64,AA-_",
    "no padding": "data:image/png;base64,AAA",
    "one letter": "data:image/png;base64,A",
    "too much padding": "data:image/png;base64,A===",
    "padding only": "data:image/png;base64,====",
    "padding inside": "data:image/png;base64,AA==AAAA",
    "padding twice": "data:image/png;base64,AAAA====",
    "bits left over": "data:image/png;base64,AAF=",
    "more bits left over": "data:image/png;base64,AB==",
    "not ASCII": "data:image/png;base64,ААAA",
    "full-width": "data:image/png;base64,ＡＡＡＡ",
    "long s": "data:image/png;baſe64,AAAA",
    "NUL": "data:image/png;base64,AAA\0",
    "lone surrogate": "data:image/png;base64,AAA\ud800",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_data_url(REFUSED[name], PARAM)
    assert caught.value.param == PARAM


@settings(deadline=None)
@given(st.text(max_size=50), st.booleans())
def test_nothing_else_is_raised(text: str, headed: bool) -> None:
    try:
        kind, data = parse_data_url(f"data:image/png;base64,{text}" if headed else text, PARAM)
    except InvalidParameter:
        return
    assert _url(data, kind.removeprefix("image/"))[22:] == text


def test_ten_mebibytes_and_one_byte_more() -> None:
    data = bytes(MAX_IMAGE_BYTES)
    assert len(parse_data_url(_url(data), PARAM)[1]) == MAX_IMAGE_BYTES
    for more in (1, 2, 3):
        with pytest.raises(InvalidParameter, match="10 MiB"):
            parse_data_url(_url(data + bytes(more)), PARAM)


def test_what_is_too_large_is_refused_before_anything_is_allocated() -> None:
    url = _url(bytes(18 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidParameter, match="10 MiB"):
            parse_data_url(url, PARAM)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_bare_base64_is_told_from_a_url() -> None:
    assert looks_like_bare_base64(base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode())
    assert not looks_like_bare_base64("https://example.com/" + "a" * 100)
    assert not looks_like_bare_base64("iVBORw0")
