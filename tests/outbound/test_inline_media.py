"""Long base64 in JSON goes to disk as it comes, wherever the pieces are cut; everything else stays as it was."""

from __future__ import annotations

import base64
import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.outbound.inline_media import LEAST_BYTES, MAX_REST_BYTES, MediaInJson, decoded
from safelight.outbound.resolver import OutboundRefused

MEDIA = os.urandom(LEAST_BYTES * 3 + 1)
TEXT = base64.b64encode(MEDIA).decode()


def read(body: bytes, folder: Path, cuts: Sequence[int] = ()) -> tuple[object, MediaInJson]:
    reading = MediaInJson(lambda: folder)
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        reading.feed(body[start:end])
    return json.loads(reading.end()), reading


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def one_file(reading: MediaInJson) -> tuple[str, Path | None]:
    (found,) = reading.files.items()
    return found


@pytest.mark.parametrize(
    "written",
    [
        TEXT,
        TEXT.rstrip("="),
        TEXT.replace("+", "-").replace("/", "_"),
        "data:video/mp4;base64," + TEXT,
        "\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)),
    ],
    ids=["padded", "bare", "url-safe", "data URL", "in lines"],
)
@pytest.mark.parametrize("is_escaped", [False, True])
def test_what_is_base64_is_a_file(tmp_path: Path, written: str, is_escaped: bool) -> None:
    body = json.dumps({"a": [written, "short"], "b": 'say "no" \\'})
    if is_escaped:
        body = body.replace("=", "\\u003d").replace("/", "\\/").replace("+", "\\u002B")
    document, reading = read(body.encode(), tmp_path, range(0, len(body), 4099))
    name, path = one_file(reading)
    assert document == {"a": [name, "short"], "b": 'say "no" \\'}
    assert path is not None and path.read_bytes() == MEDIA and path.parent == tmp_path


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.lists(st.integers(0, 10**6), max_size=8),
    st.booleans(),
)
def test_what_is_short_stays_wherever_it_is_cut(document: object, cuts: list[int], is_ascii: bool) -> None:
    body = json.dumps(document, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    reading = MediaInJson(lambda: pytest.fail("no folder is needed"))
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        reading.feed(body[start:end])
    assert reading.end() == body and not reading.files


@given(st.lists(st.integers(0, 10**6), max_size=8), st.binary(max_size=7))
def test_two_files_lie_apart_wherever_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], more: bytes
) -> None:
    media = [MEDIA + more, more + MEDIA[::-1]]
    body = json.dumps([base64.b64encode(each).decode() for each in media]).encode()
    names, reading = read(body, tmp_path_factory.mktemp("media"), cuts)
    assert isinstance(names, list) and names == list(reading.files)
    assert [path.read_bytes() for path in reading.files.values() if path] == media


def test_a_long_text_stays_where_it_is(tmp_path: Path) -> None:
    text = "words, and no base64. " * 10_000
    document, reading = read(json.dumps([text, TEXT]).encode(), tmp_path, range(0, 10**6, 65_536))
    assert document == [text, one_file(reading)[0]]


def test_what_stops_being_base64_is_no_media_and_leaves_no_file(tmp_path: Path) -> None:
    document, reading = read(json.dumps([TEXT + "!", 1]).encode(), tmp_path, range(0, 10**6, 65_536))
    name, path = one_file(reading)
    assert (document, path, list(tmp_path.iterdir())) == ([name, 1], None, [])


def test_an_answer_that_breaks_off_keeps_no_descriptor_open_and_no_file(tmp_path: Path) -> None:
    reading = MediaInJson(lambda: tmp_path)
    before = descriptors()
    reading.feed(b'{"a": "' + TEXT.encode())
    assert descriptors() == before + 1
    reading.discard()
    assert descriptors() == before and list(tmp_path.iterdir()) == []


def test_the_rest_has_a_cap(tmp_path: Path) -> None:
    reading = MediaInJson(lambda: tmp_path)
    with pytest.raises(OutboundRefused) as refused:
        for _ in range(MAX_REST_BYTES // 65_536 + 1):
            reading.feed(b"[" * 65_536)
    assert refused.value.reason == "too_large"


@given(st.binary())
def test_bytes_come_back_in_every_spelling(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decoded(text) == decoded(text.rstrip("=")) == decoded("data:image/png;base64," + text) == data
    assert decoded(base64.urlsafe_b64encode(data).decode()) == data


@pytest.mark.parametrize("text", ["http://a.example/b.png", "no!", "QQQQQ", "QQ==é"])
def test_what_is_no_base64_is_none(text: str) -> None:
    assert decoded(text) is None


def test_a_long_text_may_be_cut_in_the_middle_of_a_character(tmp_path: Path) -> None:
    text = "写真" * LEAST_BYTES
    body = json.dumps([text, TEXT], ensure_ascii=False).encode()
    for cut in (LEAST_BYTES + 1, LEAST_BYTES + 2, LEAST_BYTES + 3):
        document, reading = read(body, tmp_path, range(cut, len(body), 65_536))
        assert document == [text, one_file(reading)[0]]


@pytest.mark.parametrize(
    "piece",
    [b'"a",' * 16_384, b'"' + b"\\n" * 32_767, b'"A\\u0041' * 8192, b'"' + b"A" * LEAST_BYTES + b"\\/" * 32_768],
    ids=["short strings", "escapes", "strings with escapes", "escapes in base64"],
)
def test_a_piece_takes_a_few_steps_whatever_is_in_it(tmp_path: Path, piece: bytes) -> None:
    """So that an answer of nothing but small things does not hold up everybody else for minutes."""
    reading, calls = MediaInJson(lambda: tmp_path), 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        reading.feed(b"[" + piece)
    finally:
        sys.setprofile(None)
    reading.end()
    assert calls < 500
