"""Conditional and range requests, against a byte-by-byte oracle and against nonsense."""

from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.api.ranges import (
    MAX_RANGES,
    Decision,
    NotModified,
    Part,
    Parts,
    PreconditionFailed,
    Unsatisfiable,
    Whole,
    decide,
    frame,
    strong_etag,
)

HASH = "0123456789abcdef" * 4
ETAG = strong_etag(HASH)
OTHER = strong_etag("f" * 64)
DATE = "Sat, 02 May 2026 12:30:00 GMT"
EIGHT = Parts((*(Part(place, place + 1) for place in range(0, 14, 2)), Part(14, 100)))
BOUNDARY = "b0undary" * 4


def ranged(field: str | None, size: int = 100, **headers: str) -> Decision:
    return decide(size_bytes=size, etag=ETAG, range_header=field, **headers)


def test_the_etag_is_the_hash_in_quotes() -> None:
    assert strong_etag(HASH) == f'"{HASH}"'
    for wrong in ("", HASH.upper(), HASH[1:], HASH + "0", f"{HASH[1:]}\n"):
        with pytest.raises(ValueError, match="SHA-256"):
            strong_etag(wrong)


@pytest.mark.parametrize(
    ("field", "decision"),
    [
        (None, Whole()),
        ("bytes=0-0", Part(0, 1)),
        ("bytes=0-99", Part(0, 100)),
        ("bytes=0-", Part(0, 100)),
        ("bytes=99-", Part(99, 100)),
        ("bytes=10-1000", Part(10, 100)),
        ("bytes=-1", Part(99, 100)),
        ("bytes=-100", Part(0, 100)),
        ("bytes=-1000", Part(0, 100)),
        ("Bytes=5-6", Part(5, 7)),
        (" bytes=5-6\t", Part(5, 7)),
        ("bytes= 5-6 , ", Part(5, 7)),
        ("bytes=,,5-6", Part(5, 7)),
        ("bytes=005-0006", Part(5, 7)),
        ("bytes=5-" + "9" * 5000, Part(5, 100)),
        ("bytes=-" + "9" * 5000, Part(0, 100)),
        ("bytes=100-", Unsatisfiable(100)),
        ("bytes=" + "9" * 5000 + "-", Unsatisfiable(100)),
        ("bytes=-0", Unsatisfiable(100)),
        ("bytes=-0,200-300", Unsatisfiable(100)),
        ("bytes=-0,200-300,7-7", Part(7, 8)),
        ("bytes=0-9,20-29", Parts((Part(0, 10), Part(20, 30)))),
        ("bytes=20-29,0-9", Parts((Part(20, 30), Part(0, 10)))),
        ("bytes=0-9,10-19", Part(0, 20)),
        ("bytes=0-,0-,0-,0-,0-,0-,0-,0-", Part(0, 100)),
        ("bytes=50-59,0-9,55-69,8-20", Parts((Part(50, 70), Part(0, 21)))),
        ("bytes=0-0,4-4,2-2,1-3", Part(0, 5)),
        ("bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-", EIGHT),
        ("bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-", Whole()),
        ("bytes=" + "0-0," * 100_000, Whole()),
        ("", Whole()),
        ("bytes", Whole()),
        ("bytes=", Whole()),
        ("bytes=,", Whole()),
        ("bytes=-", Whole()),
        ("bytes=--1", Whole()),
        ("bytes=5", Whole()),
        ("bytes=6-5", Whole()),
        ("bytes=0-1,6-5", Whole()),
        ("bytes=0-1,x", Whole()),
        ("bytes=+1-2", Whole()),
        ("bytes=1 - 2", Whole()),
        ("bytes =1-2", Whole()),
        ("bytes=1-2-3", Whole()),
        ("bytes=1.0-2", Whole()),
        ("bytes=0x1-2", Whole()),
        ("bytes=\u0661-2", Whole()),
        ("bytes=1-2\n", Whole()),
        ("bytes=0-1, bytes=2-3", Whole()),
        ("items=0-5", Whole()),
        ("seconds=1-2", Whole()),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_a_range_field(field: str | None, decision: Decision) -> None:
    assert ranged(field) == decision


def test_an_empty_file_has_no_part() -> None:
    assert ranged("bytes=0-", size=0) == Unsatisfiable(0)
    assert ranged("bytes=-0", size=0) == Unsatisfiable(0)
    assert ranged("bytes=-5", size=0) == Whole()
    assert ranged(None, size=0) == Whole()


def test_head_tells_of_the_whole_file_and_heeds_conditions() -> None:
    assert ranged("bytes=0-1", method="HEAD") == Whole()
    assert ranged("bytes=500-", method="HEAD") == Whole()
    assert ranged(None, method="HEAD", if_none_match=ETAG) == NotModified()


@pytest.mark.parametrize(
    ("field", "unmodified"),
    [
        ("*", True),
        (" * ", True),
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f"{OTHER}, {ETAG}", True),
        (f'"a,b" ,, W/"x",W/{ETAG}\t,', True),
        (OTHER, False),
        ("", False),
        (",", False),
        (HASH, False),
        (f"w/{ETAG}", False),
        (f"{ETAG} {OTHER}", False),
        (f"{ETAG}, *", False),
        (f'{ETAG}, "open', False),
        (DATE, False),
        ("\u2603", False),
    ],
)
def test_if_none_match(field: str, unmodified: bool) -> None:
    assert decide(size_bytes=1, etag=ETAG, if_none_match=field) == (NotModified() if unmodified else Whole())
    # It comes before the range (section 13.2.2).
    ranged_decision = ranged("bytes=500-", if_none_match=field)
    assert ranged_decision == (NotModified() if unmodified else Unsatisfiable(100))


@pytest.mark.parametrize(
    ("field", "holds"),
    [
        ("*", True),
        (ETAG, True),
        (f"{OTHER},{ETAG}", True),
        (f"W/{ETAG}", False),
        (f"W/{ETAG}, {ETAG}", True),
        (OTHER, False),
        ("", False),
        (HASH, False),
        ("nonsense", False),
    ],
)
def test_if_match_compares_strongly_and_comes_first(field: str, holds: bool) -> None:
    assert decide(size_bytes=1, etag=ETAG, if_match=field) == (Whole() if holds else PreconditionFailed())
    both = decide(size_bytes=1, etag=ETAG, if_match=field, if_none_match=ETAG)
    assert both == (NotModified() if holds else PreconditionFailed())


@pytest.mark.parametrize(
    ("field", "holds"),
    [
        (ETAG, True),
        (f" {ETAG}\t", True),
        (f"W/{ETAG}", False),
        (OTHER, False),
        (f"{ETAG}, {OTHER}", False),
        ("*", False),
        (DATE, False),
        ("", False),
        (HASH, False),
    ],
)
def test_if_range_takes_the_one_strong_tag(field: str, holds: bool) -> None:
    assert ranged("bytes=0-1", if_range=field) == (Part(0, 2) if holds else Whole())
    assert ranged("bytes=500-", if_range=field) == (Unsatisfiable(100) if holds else Whole())
    assert ranged(None, if_range=field) == Whole()


spec = st.one_of(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))),
    st.tuples(st.integers(0, 60), st.none()),
    st.tuples(st.none(), st.integers(0, 60)),
)
space = st.sampled_from(["", " ", "\t ", ",", " , "])


def meant(first: int | None, last: int | None, size: int) -> set[int]:
    """The oracle: which bytes a range names, one by one."""
    if first is None:
        return set(range(size)[size - min(last or 0, size) :])
    return {place for place in range(size) if place >= first and (last is None or place <= last)}


@given(specs=st.lists(spec, min_size=1, max_size=MAX_RANGES), size=st.integers(0, 50), data=st.data())
def test_every_byte_asked_for_is_sent_once(
    specs: list[tuple[int | None, int | None]], size: int, data: st.DataObject
) -> None:
    written = [f"{'' if first is None else first}-{'' if last is None else last}" for first, last in specs]
    field = "bytes=" + "".join(f"{data.draw(space)}{text}{data.draw(space)}," for text in written)
    wanted = [meant(first, last, size) for first, last in specs]
    decision = ranged(field, size)
    match decision:
        case Whole():
            assert size == 0
            return
        case Unsatisfiable():
            parts: tuple[Part, ...] = ()
            assert decision.content_range == f"bytes */{size}"
        case Part():
            parts = (decision,)
        case Parts():
            parts = decision.parts
            assert len(parts) > 1
        case _:
            raise AssertionError(decision)
    sent = [place for part in parts for place in range(part.start, part.end)]
    assert set(sent) == set().union(*wanted)
    assert len(sent) == len(set(sent))
    for one in parts:
        assert 0 <= one.start < one.end <= size
        assert all(one is two or one.end < two.start or two.end < one.start for two in parts)
    first_asked = [min(i for i, bytes_ in enumerate(wanted) if bytes_ & {*range(p.start, p.end)}) for p in parts]
    assert first_asked == sorted(first_asked)


headers = (
    st.none()
    | st.text()
    | st.sampled_from([ETAG, f"W/{ETAG}", "*", "bytes=0-1", f"{ETAG},"])
    | st.from_regex(r'(bytes=)?[-0-9, ]*[W/"*x]*')
)


@given(headers, headers, headers, headers, st.integers(0, 2**40), st.sampled_from(["GET", "HEAD", "BREW"]))
def test_nothing_raises_on_any_text(
    if_match: str | None,
    if_none_match: str | None,
    if_range: str | None,
    range_header: str | None,
    size: int,
    method: str,
) -> None:
    decision = decide(
        size_bytes=size,
        etag=ETAG,
        method=method,
        if_match=if_match,
        if_none_match=if_none_match,
        if_range=if_range,
        range_header=range_header,
    )
    if isinstance(decision, Part | Parts | Unsatisfiable):
        assert method == "GET"
        assert range_header is not None


@given(content=st.binary(min_size=4, max_size=200), data=st.data())
def test_a_multipart_body_is_read_back_by_another_parser(content: bytes, data: st.DataObject) -> None:
    size = len(content)
    places = sorted(data.draw(st.sets(st.integers(0, size), min_size=4, max_size=8)))
    pieces = [Part(start, end) for start, end in zip(places[::2], places[1::2], strict=False)]
    decision = Parts(tuple(data.draw(st.permutations(pieces))))
    framing = frame(decision, size_bytes=size, mime_type="video/mp4", boundary=BOUNDARY)
    body = b"".join(
        head + content[part.start : part.end] for head, part in zip(framing.heads, decision.parts, strict=True)
    )
    body += framing.tail
    assert len(body) == framing.content_length
    message = BytesParser().parsebytes(b"Content-Type: " + framing.content_type.encode() + b"\r\n\r\n" + body)
    assert not message.defects
    read = message.get_payload()
    assert isinstance(read, list)
    assert len(read) == len(decision.parts)
    for found, part in zip(read, decision.parts, strict=True):
        assert found.get_content_type() == "video/mp4"
        assert found["Content-Range"] == f"bytes {part.start}-{part.end - 1}/{size}"


def test_the_bytes_of_a_multipart_body() -> None:
    framing = frame(Parts((Part(0, 1), Part(5, 7))), size_bytes=10, mime_type="image/png", boundary="x" * 16)
    assert framing.content_type == "multipart/byteranges; boundary=xxxxxxxxxxxxxxxx"
    assert framing.heads == (
        b"--xxxxxxxxxxxxxxxx\r\nContent-Type: image/png\r\nContent-Range: bytes 0-0/10\r\n\r\n",
        b"\r\n--xxxxxxxxxxxxxxxx\r\nContent-Type: image/png\r\nContent-Range: bytes 5-6/10\r\n\r\n",
    )
    assert framing.tail == b"\r\n--xxxxxxxxxxxxxxxx--\r\n"
    assert framing.content_length == sum(map(len, framing.heads)) + 3 + len(framing.tail)
    for boundary in ("", "short", 'x"' * 10, "x" * 71):
        with pytest.raises(ValueError, match="boundary"):
            frame(Parts((Part(0, 1), Part(5, 7))), size_bytes=10, mime_type="image/png", boundary=boundary)
