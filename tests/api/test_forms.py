"""Forms as clients write them, and as those write them who mean harm."""

from __future__ import annotations

import itertools
import sys
import tracemalloc
from collections.abc import Callable, Sequence

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser, parse_options_header

from safelight.api import forms
from safelight.api.bodies import MAX_BODY_BYTES
from safelight.api.forms import MAX_PARTS, Form, Part
from safelight.domain.errors import InvalidParameter
from safelight.outbound.multipart import FilePart, multipart

X, F = b'Content-Disposition: form-data; name="x"', b'Content-Disposition: form-data; name="x"; filename="f"'
BOUNDARY = b"b"
Written = tuple[bytes, str]

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='"\\'), min_size=1, max_size=20
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
trap = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", b"b", b"\0", b"\r\n--b", b"--b--", b"a"]), max_size=30
).map(b"".join)
data = st.binary(max_size=500) | trap


def read(raw: bytes, content_type: str | bytes) -> Form:
    _, options = parse_options_header(content_type)
    return forms._parsed(raw, options[b"boundary"])[0]


def form(*parts: tuple[bytes, bytes], boundary: bytes = BOUNDARY, end: bytes = b"--\r\n") -> bytes:
    pieces = [b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts]
    return b"".join(pieces) + b"--" + boundary + end


def parsed(raw: bytes, boundary: bytes = BOUNDARY) -> tuple[Part, ...]:
    return forms._parsed(raw, boundary)[0].parts


def by_httpx(fields: Sequence[tuple[str, str]], files: Sequence[FilePart]) -> Written:
    sent = [(file.field, (file.name, file.data, file.mime_type)) for file in files]
    request = httpx.Request("POST", "http://x", data=dict(fields), files=sent)
    return request.read(), request.headers["content-type"]


# What clients write


@pytest.mark.parametrize("write", [by_httpx, multipart], ids=["httpx", "ours"])
@given(
    fields=st.dictionaries(names, texts, max_size=5),
    files=st.lists(
        st.builds(FilePart, names, names, st.sampled_from(["image/png", "image/jpeg"]), data), min_size=1, max_size=4
    ),
)
def test_what_was_written_is_read(write: Callable[..., Written], fields: dict[str, str], files: list[FilePart]) -> None:
    found = read(*write(list(fields.items()), files))
    assert found.texts() == fields
    assert [(part.name, part.filename, part.content_type, part.data) for part in found.files()] == [
        (file.field, file.name, file.mime_type, file.data) for file in files
    ]


@given(
    prompt=st.text(min_size=1, max_size=50).filter(str.isprintable),
    pictures=st.lists(data.filter(bool), min_size=1, max_size=4),
)
def test_the_official_clients_edits_are_read(prompt: str, pictures: list[bytes]) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"created": 1, "data": []})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http)
        client.images.edit(
            image=[(f"{place}.png", picture, "image/png") for place, picture in enumerate(pictures)],
            mask=("mask.png", b"a mask", "image/png"),
            prompt=prompt,
            n=2,
        )
    found = read(sent[0].read(), sent[0].headers["content-type"])
    assert found.texts() == {"prompt": prompt, "n": "2"}
    assert [(part.name, part.data) for part in found.files() if part.name != "mask"] == [
        ("image[]", picture) for picture in pictures
    ]
    assert [part.data for part in found.files() if part.name == "mask"] == [b"a mask"]


@pytest.mark.parametrize(
    ("head", "name", "filename"),
    [
        (b'Content-Disposition: form-data; name="x"; filename="a\\"b.png"', "x", 'a"b.png'),
        (b'Content-Disposition: form-data; name="x"; filename="a%22b.png"', "x", "a%22b.png"),
        (b'Content-Disposition: form-data; name="x"; filename="a;b=c.png"', "x", "a;b=c.png"),
        ('Content-Disposition: form-data; name="x"; filename="bjørn.png"'.encode(), "x", "bjørn.png"),
        (b"content-disposition: FORM-DATA; name=x; filename=f.png", "x", "f.png"),
        (b'Content-Disposition: form-data; name="x"; filename="f"; filename*=utf-8\'\'g', "x", "f"),
        (b'Content-Disposition: form-data; name=""; filename=""', "", ""),
        (b'Content-Type: image/png\r\nContent-Disposition: form-data; name="x"; filename="f"', "x", "f"),
    ],
)
def test_names_in_every_spelling(head: bytes, name: str, filename: str) -> None:
    (part,) = parsed(form((head, b"data")))
    assert (part.name, part.filename, part.data) == (name, filename, b"data")


def test_a_text_may_say_that_it_is_one() -> None:
    (part,) = parsed(form((X + b"\r\nContent-Type: Text/Plain; Charset=UTF-8", "ü".encode())))
    assert part.content_type == "text/plain; charset=utf-8"
    assert Form((part,)).texts() == {"x": "ü"}


@pytest.mark.parametrize(
    "encoded",
    [(b"base64", b"YSBoaWxs"), (b"quoted-printable", b"a=20hill"), (b"binary", b"a hill"), (b"8bit", b"a hill")],
)
def test_a_transfer_encoding_is_undone(encoded: tuple[bytes, bytes]) -> None:
    coding, data = encoded
    assert parsed(form((X + b"\r\nContent-Transfer-Encoding: " + coding, data)))[0].data == b"a hill"


def test_a_file_that_was_not_chosen_is_none() -> None:
    nothing = b'Content-Disposition: form-data; name="x"; filename=""\r\nContent-Type: application/octet-stream'
    assert Form(parsed(form((nothing, b"")))).files() == []
    assert len(Form(parsed(form((nothing, b"data"), (F, b"")))).files()) == 2


def test_a_form_within_a_form_is_a_part() -> None:
    inner = form((X, b"inner"), boundary=b"c")
    (part,) = parsed(form((X + b"\r\nContent-Type: multipart/mixed; boundary=c", inner)))
    assert part.data == inner


@pytest.mark.parametrize("around", [(b"\r\n", b""), (b"", b"an epilogue"), (b"", b"\r\n\r\n")])
def test_what_lies_around_is_passed_over(around: tuple[bytes, bytes]) -> None:
    before, after = around
    assert parsed(before + form((X, b"data")) + after)[0].data == b"data"


def test_an_empty_form_has_no_parts() -> None:
    assert parsed(form()) == ()


# What is refused


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        form((X, b"data"), end=b""),
        form((X, b"data"), end=b"-"),
        form((X, b"data"), end=b"\r\n"),
        form((X, b"data"))[:-10],
        b"--b\r\n" + X,
        b"--b\r\n" + X + b"\r\n\r\n",
        form((X, b"data")).replace(b"\r\n", b"\n"),
        form((X, b"data")).replace(b"\r\n", b"\r"),
        form((b"Content-Disposition: form-data", b"")),
        form((b'Content-Disposition: form-data; filename="f"', b"")),
        form((b"Content-Type: text/plain", b"")),
        form((b"", b"data")),
        form((X + b"\r\nno colon", b"")),
        form((X + b"\r\n: no name", b"")),
        form((X + b"\r\nX: " + b"a" * 100_000, b"")),
        form((X + b"\r\nX" + b"a" * 100_000 + b": a", b"")),
        form((X + b"\r\nX: 1" * 1000, b"")),
        form((X + b"\r\nContent-Transfer-Encoding: base64", b"\xff\xff=")),
        form((b'Content-Disposition: form-data; name="\xff"', b"")),
        form((b'Content-Disposition: form-data; name="x"; filename="\xff"', b"")),
        form((X, b"data"), boundary=b"c"),
    ],
)
def test_what_is_no_form_is_the_clients_fault(raw: bytes) -> None:
    with pytest.raises(InvalidParameter):
        parsed(raw)


@given(raw=st.binary(max_size=300) | trap.map(lambda trap: b"--b\r\n" + X + b"\r\n\r\n" + trap) | trap)
def test_no_body_is_a_surprise(raw: bytes) -> None:
    """It is read or refused; what is read was there."""
    try:
        found = parsed(raw)
    except InvalidParameter:
        return
    assert all(part.data in raw for part in found)


@given(cut=st.integers(0, 400))
def test_of_a_form_that_was_cut_nothing_is_taken(cut: int) -> None:
    raw = form((X, b"a hill"), (F + b"\r\nContent-Type: image/png", bytes(range(256))))
    end = raw.rindex(b"--b--") + len(b"--b--")
    if cut < end:
        with pytest.raises(InvalidParameter):
            parsed(raw[:cut])


@pytest.mark.parametrize("length", [1, 70, 256, 257, 5000])
def test_a_boundary_may_be_long_but_not_absurdly(length: int) -> None:
    boundary = b"x" * length
    raw = form((X, b"data"), boundary=boundary)
    if length <= 256:
        assert parsed(raw, boundary)[0].data == b"data"
    else:
        with pytest.raises(InvalidParameter):
            parsed(raw, boundary)


def test_so_many_parts_and_not_one_more() -> None:
    assert len(parsed(form(*[(X, b"")] * MAX_PARTS))) == MAX_PARTS
    for lead in (b"", b"\r\n"):
        assert len(parsed(lead + form(*[(X, b"")] * MAX_PARTS))) == MAX_PARTS
        with pytest.raises(InvalidParameter, match="more than 64"):
            parsed(lead + form(*[(X, b"")] * (MAX_PARTS + 1)))


@pytest.mark.parametrize(
    "trap",
    [b"\r\n--bX" * 200_000, b"x\r\n--b" + b" " * 1_000_000 + b"\r\n\r\n", b"x\r\n--b" + b"\t" * 1_000_000],
    ids=["what is nearly a boundary", "spaces", "tabs"],
)
def test_what_is_read_byte_by_byte_is_not_read(trap: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 25 MiB that would keep the interpreter for half a minute."""
    monkeypatch.setattr(MultipartParser, "write", lambda *_: pytest.fail("it was read"))
    with pytest.raises(InvalidParameter):
        parsed(form((X, trap)))


def test_twice_one_text_is_refused_and_twice_one_file_is_two() -> None:
    found = Form(parsed(form((F, b"1"), (F, b"2"))))
    assert [part.data for part in found.files()] == [b"1", b"2"]
    with pytest.raises(InvalidParameter, match="twice") as refused:
        Form(parsed(form((X, b"1"), (X, b"1")))).texts()
    assert refused.value.param == "x"


@pytest.mark.parametrize("text", [b"\xff", b"a\0b", b"\xed\xa0\x80"])
def test_what_is_no_text_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidParameter) as refused:
        Form(parsed(form((X, text)))).texts()
    assert refused.value.param == "x"


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="it counts what CPython allocates")
def test_a_large_file_is_in_memory_no_more_than_twice_beside_the_body() -> None:
    size = MAX_BODY_BYTES - 1024
    raw = form((F, bytes(size)))
    tracemalloc.start()
    try:
        (part,) = parsed(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(part.data) == size
    assert peak < 2.3 * size


# The digest

PART = Part(name="x", filename="f", content_type="image/png", data=b"data")


def test_the_digest_is_of_the_parts_and_not_of_what_lies_between() -> None:
    one = forms._parsed(form((X, b"1"), (F, b"2"), boundary=b"one"), b"one")
    other = forms._parsed(b"\r\n" + form((X, b"1"), (F, b"2"), boundary=b"other") + b"epilogue", b"other")
    assert one == other


def test_each_difference_is_one() -> None:
    other = Part(name="x", filename="g", content_type="image/png", data=b"more")
    various = [
        Form(()),
        Form((PART,)),
        Form((PART, PART)),
        Form((PART, other)),
        Form((other, PART)),
        Form((Part(name="xf", filename="", content_type="image/png", data=b"data"),)),
        Form((Part(name="y", filename="f", content_type="image/png", data=b"data"),)),
        Form((Part(name="x", filename=None, content_type="image/png", data=b"data"),)),
        Form((Part(name="x", filename="", content_type="image/png", data=b"data"),)),
        Form((Part(name="x", filename="-", content_type="image/png", data=b"data"),)),
        Form((Part(name="x", filename="f", content_type="", data=b"data"),)),
        Form((Part(name="x", filename="f", content_type="image/png", data=b"dat"),)),
        Form((Part(name="x", filename="f1:-", content_type="image/png", data=b"data"),)),
    ]
    for one, another in itertools.combinations(various, 2):
        assert one.digest() != another.digest(), (one, another)


parts = st.builds(
    Part,
    name=st.text(max_size=3),
    filename=st.none() | st.text(max_size=3),
    content_type=st.sampled_from(["", "a", "1:-"]),
    data=st.binary(max_size=3),
)


@given(one=st.lists(parts, max_size=3), other=st.lists(parts, max_size=3))
def test_equal_digests_are_of_equal_forms(one: list[Part], other: list[Part]) -> None:
    assert (Form(tuple(one)).digest() == Form(tuple(other)).digest()) == (one == other)
