"""What comes out of the fence: clean pixels, or a refusal that says why."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.domain.errors import InvalidParameter
from safelight.references import clean, decode
from safelight.references.clean import MAX_CLEAN_BYTES, strip_png, webp_is_lossless
from safelight.references.decode import FencedDecoder
from safelight.references.headers import Refused, read_header
from tests.references import files

PARAM = "images[0].url"


@pytest.fixture(scope="module")
async def decoder() -> AsyncIterator[FencedDecoder]:
    decoder = FencedDecoder()
    yield decoder
    await decoder.close()


def _open(data: bytes) -> Any:
    return pyvips.Image.new_from_buffer(data, "")


ORDINARY = {
    "png": ("image/png", files.png()),
    "png with alpha": ("image/png", files.png(files.plain(bands=4))),
    "grey png": ("image/png", files.png(files.plain(bands=1))),
    "palette png": ("image/png", files.png(palette=True)),
    "one-bit png": ("image/png", files.png(files.plain(bands=1), bitdepth=1)),
    "16-bit png": ("image/png", files.png((files.plain().cast("ushort") * 257).copy(interpretation="rgb16"))),
    "interlaced png": ("image/png", files.png(interlace=True)),
    "png of one pixel": ("image/png", files.png(files.plain(1, 1))),
    "jpeg": ("image/jpeg", files.jpeg()),
    "grey jpeg": ("image/jpeg", files.jpeg(files.plain(bands=1))),
    "progressive jpeg": ("image/jpeg", files.jpeg(interlace=True)),
    "CMYK jpeg": ("image/jpeg", files.jpeg(files.plain(bands=4).copy(interpretation="cmyk"))),
    "webp": ("image/webp", files.webp()),
    "lossless webp": ("image/webp", files.webp(lossless=True)),
    "webp with alpha": ("image/webp", files.webp(files.plain(bands=4))),
}


@pytest.mark.parametrize("name", ORDINARY)
async def test_ordinary_images_keep_type_size_and_transparency(decoder: FencedDecoder, name: str) -> None:
    mime_type, data = ORDINARY[name]
    got, cleaned = await decoder.clean(data, mime_type, PARAM)
    before, after = _open(data), _open(cleaned)
    assert got == mime_type
    assert (after.width, after.height, after.hasalpha()) == (
        before.width,
        before.height,
        before.hasalpha(),
    )
    assert after.format == "uchar"


@pytest.mark.parametrize("name", ["png", "png with alpha", "palette png", "16-bit png", "lossless webp"])
async def test_what_is_lossless_stays_so(decoder: FencedDecoder, name: str) -> None:
    data = ORDINARY[name][1]
    _, cleaned = await decoder.clean(data, None, PARAM)
    before = _open(data).colourspace("srgb").cast("uchar")
    assert (before - _open(cleaned)).abs().max() == 0


@pytest.mark.parametrize(("lossless", "expected"), [(False, "image/jpeg"), (True, "image/png")])
async def test_a_large_webp_changes_its_type(decoder: FencedDecoder, lossless: bool, expected: str) -> None:
    data = files.webp(files.flat(5000, 5000), lossless=lossless, effort=0)
    got, cleaned = await decoder.clean(data, "image/webp", PARAM)
    assert (got, read_header(cleaned).mime_type) == (expected, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("save", [files.jpeg, files.png, files.webp])
async def test_orientation_is_applied(decoder: FencedDecoder, save: Any, orientation: int) -> None:
    picture = files.plain(64, 32).copy()
    picture.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    _, cleaned = await decoder.clean(save(picture), None, PARAM)
    upright, after = picture.autorot(), _open(cleaned)
    assert (after.width, after.height) == (upright.width, upright.height)
    assert (upright - after).abs().max() < 30
    assert not after.get_typeof("orientation") or after.get("orientation") == 1


@pytest.mark.parametrize("save", [files.jpeg, files.png, files.webp])
async def test_metadata_is_stripped(decoder: FencedDecoder, save: Any) -> None:
    picture = files.plain().icc_transform("p3", input_profile="srgb").copy()
    picture.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x>" + files.SECRET + b"</x>")
    picture.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Artist", files.SECRET.decode())
    data = save(picture)
    assert files.SECRET in data
    _, cleaned = await decoder.clean(data + files.SECRET, None, PARAM)
    assert files.SECRET not in cleaned
    after = _open(cleaned)
    assert not [name for name in after.get_fields() if name.startswith(("exif", "xmp", "iptc", "icc", "png-comment"))]
    assert (files.plain() - after).abs().avg() < 3  # the profile was applied, not dropped


STRIPPED = {
    "text": lambda: files.with_chunks(files.png(), files.chunk(b"tEXt", b"Comment\0" + files.SECRET)),
    "private chunk": lambda: files.with_chunks(files.png(), files.chunk(b"caNb", files.SECRET)),
    "zTXt bomb": lambda: files.with_chunks(
        files.png(), *[files.chunk(b"zTXt", b"Bomb\0\0" + files.deflated_zeros(64 << 20))] * 20
    ),
    "iCCP bomb": lambda: files.with_chunks(
        files.png(), files.chunk(b"iCCP", b"Bomb\0\0" + files.deflated_zeros(64 << 20))
    ),
    "HTML after a PNG": lambda: files.png() + files.HTML,
    "HTML after a JPEG": lambda: files.jpeg() + files.HTML,
    "HTML after a WebP": lambda: files.webp() + files.HTML,
    "HTML in a JPEG": lambda: files.jpeg()[:2] + b"\xff\xfe\x00\x38" + files.HTML + files.jpeg()[2:],
    "a second image": lambda: files.png() + files.SECRET + files.jpeg(),
}


@pytest.mark.parametrize("name", STRIPPED)
async def test_what_is_not_pixels_is_stripped(decoder: FencedDecoder, name: str) -> None:
    _, cleaned = await decoder.clean(STRIPPED[name](), None, PARAM)
    assert files.SECRET not in cleaned
    assert b"html" not in cleaned
    assert len(cleaned) < 20_000
    assert _open(cleaned).width == 64


SAVES = {"PNG": files.png, "JPEG": files.jpeg, "WebP": files.webp}
APPENDED = {
    "one byte": lambda: b"\0",
    "padding": lambda: bytes(4096),
    "HTML": lambda: files.HTML + files.SECRET,
    "SVG": lambda: files.SVG + files.SECRET,
    "a script": lambda: b"\n#!/bin/sh\n" + files.SECRET,
    "a ZIP": files.zipped,
    "a PDF": lambda: b"%PDF-1.7\n" + files.SECRET,
    "an MP4, as phones do": lambda: b"\0\0\0\x18ftypmp42" + files.SECRET,
    "a PNG": lambda: files.png(files.plain(8, 8)) + files.SECRET,
    "a JPEG, as phones do": lambda: files.jpeg(files.plain(8, 8)) + files.SECRET,
    "a WebP": lambda: files.webp(files.plain(8, 8)) + files.SECRET,
}


@pytest.mark.parametrize("appended", APPENDED)
@pytest.mark.parametrize("name", SAVES)
async def test_what_follows_a_picture_is_left_behind(decoder: FencedDecoder, name: str, appended: str) -> None:
    """What comes out ends where its picture ends, and has nothing in it that is not of the picture."""
    picture = SAVES[name]()
    _, alone = await decoder.clean(picture, None, PARAM)
    got, cleaned = await decoder.clean(picture + APPENDED[appended](), None, PARAM)
    assert cleaned == alone, "the same file as without it"
    assert parts_of(got, cleaned) <= PARTS[got]


@pytest.mark.parametrize(
    ("mime_type", "data"),
    [
        ("image/png", lambda: files.with_chunks(files.png(), files.chunk(b"zIPx", files.zipped()))),
        ("image/jpeg", lambda: files.jpeg()[:2] + segment(0xEB, files.zipped()) + files.jpeg()[2:]),
        ("image/webp", lambda: with_riff_chunk(files.webp(), b"ZIPX", files.zipped())),
    ],
    ids=["PNG", "JPEG", "WebP"],
)
async def test_what_hides_inside_a_picture_is_left_behind(decoder: FencedDecoder, mime_type: str, data: Any) -> None:
    hidden = data()
    assert files.SECRET in hidden
    got, cleaned = await decoder.clean(hidden, mime_type, PARAM)
    assert files.SECRET not in cleaned and b"PK\3\4" not in cleaned
    assert parts_of(got, cleaned) <= PARTS[got]


PARTS = {
    "image/png": {b"IHDR", b"pHYs", b"PLTE", b"tRNS", b"IDAT", b"IEND"},  # pHYs: always of one pixel a millimetre
    "image/jpeg": {0xD8, 0xE0, 0xDB, 0xC0, 0xC2, 0xC4, 0xDA, 0xD9},  # of APPn only JFIF
    "image/webp": {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"},
}


def parts_of(mime_type: str, data: bytes) -> set[Any]:
    """The chunks or segments of a file. Fails where it goes on after its end."""
    if mime_type == "image/jpeg":
        return jpeg_markers(data)
    place, found = (8, set()) if mime_type == "image/png" else (12, set())
    while place < len(data):
        if mime_type == "image/png":
            found.add(data[place + 4 : place + 8])
            place += 12 + int.from_bytes(data[place : place + 4], "big")
        else:
            length = int.from_bytes(data[place + 4 : place + 8], "little")
            found.add(data[place : place + 4])
            place += 8 + length + (length & 1)
    assert place == len(data)
    if mime_type == "image/webp":
        assert int.from_bytes(data[4:8], "little") + 8 == len(data)
    return found


def jpeg_markers(data: bytes) -> set[Any]:
    place, found = 2, {0xD8}
    while data[place + 1] != 0xDA:
        assert data[place] == 0xFF
        found.add(data[place + 1])
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    assert data.index(b"\xff\xd9", place) == len(data) - 2, "it ends with its picture"
    return found | {0xDA, 0xD9}


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def with_riff_chunk(file: bytes, kind: bytes, body: bytes) -> bytes:
    whole = file + kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) & 1)
    return whole[:4] + (len(whole) - 8).to_bytes(4, "little") + whole[8:]


REFUSED = {
    "nothing": lambda: (b"", "not an image"),
    "text": lambda: (b"hello", "not an image"),
    "noise": lambda: (bytes(range(256)), "not an image"),
    "HTML": lambda: (files.HTML, "HTML is not accepted"),
    "HTML before a PNG": lambda: (files.HTML + files.png(), "HTML is not accepted"),
    "comment before a PNG": lambda: (b"<!--" + files.png(), "not an image"),
    "SVG": lambda: (files.SVG, "SVG is not accepted"),
    "SVG after blanks": lambda: (b"\xef\xbb\xbf \n<SVG>", "SVG is not accepted"),
    "GIF": lambda: (files.gif(1), "GIF is not accepted"),
    "GIF of many frames": lambda: (files.gif(100_000), "GIF is not accepted"),
    "TIFF": lambda: (bytes(files.plain().tiffsave_buffer()), "TIFF is not accepted"),
    "AVIF": lambda: (b"\0\0\0\x20ftypavif" + bytes(100), "AVIF, HEIC or MP4 is not accepted"),
    "PDF": lambda: (b"%PDF-1.7\n", "PDF is not accepted"),
    "APNG": lambda: (files.apng(2), "Animated"),
    "APNG of many frames": lambda: (files.apng(20_000), "Animated"),
    "animated WebP": lambda: (files.animated_webp(3), "Animated"),
    "PNG of 2.5 gigapixels": lambda: (files.png_header(50_000, 50_000), "25 megapixels"),
    "PNG of the largest size": lambda: (files.png_header(2**31 - 1, 2**31 - 1), "25 megapixels"),
    "PNG of 25 megapixels and a row": lambda: (files.png_header(5000, 5001), "25 megapixels"),
    "PNG of one long row": lambda: (files.png_header(65_536, 1), "25 megapixels"),
    "PNG of no width": lambda: (files.png_header(0, 5), "broken"),
    "PNG that lacks most of its rows": lambda: (files.png_header(5000, 5000), "broken"),
    "JPEG of 4 gigapixels": lambda: (files.jpeg_header(65_500, 65_500), "25 megapixels"),
    "JPEG of many scans": lambda: (files.jpeg_of_many_scans(20_000), "broken"),
    "WebP of 268 megapixels": lambda: (
        files.webp(files.flat(16_383, 1600), lossless=True, effort=0),
        "25 megapixels",
    ),
    "WebP with a lying canvas": lambda: (files.lying_webp(), "25 megapixels|broken"),
    "half a PNG": lambda: (files.png()[: len(files.png()) // 2], "broken"),
    "half a JPEG": lambda: (files.jpeg()[: len(files.jpeg()) // 2], "broken"),
    "half a WebP": lambda: (files.webp()[: len(files.webp()) // 2], "broken"),
    "PNG without an end": lambda: (files.png()[:-12], "broken"),
    "PNG of a million chunks": lambda: (
        files.with_chunks(files.png(), files.chunk(b"teSt", b"") * 500_000),
        "broken",
    ),
    "PNG signature": lambda: (files.png()[:8], "broken"),
    "JPEG signature": lambda: (b"\xff\xd8\xff", "broken"),
    "WebP signature": lambda: (b"RIFF\0\0\0\0WEBP", "broken"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refused_in_words(decoder: FencedDecoder, name: str) -> None:
    data, words = REFUSED[name]()
    with pytest.raises(InvalidParameter, match=words) as caught:
        await decoder.clean(data, None, PARAM)
    assert caught.value.param == PARAM


@pytest.mark.parametrize(
    ("declared", "data", "actual"),
    [
        ("image/png", files.jpeg(), "image/jpeg"),
        ("image/jpeg", files.webp(), "image/webp"),
        ("image/webp", files.png(), "image/png"),
    ],
)
async def test_a_wrong_declaration_is_refused_naming_both(
    decoder: FencedDecoder, declared: str, data: bytes, actual: str
) -> None:
    with pytest.raises(InvalidParameter, match=f"declared as {declared} .* {actual}"):
        await decoder.clean(data, declared, PARAM)


async def test_noise_in_every_place_is_refused_or_clean(decoder: FencedDecoder) -> None:
    """Flip bytes all over small files: each time an answer, whatever becomes of the worker."""
    for save in (files.png, files.jpeg, files.webp):
        data = save(files.plain(16, 16))
        for position in range(0, len(data), 7):
            broken = bytearray(data)
            broken[position] ^= 0xFF
            try:
                _, cleaned = await decoder.clean(bytes(broken), None, PARAM)
            except InvalidParameter:
                continue
            assert len(cleaned) <= MAX_CLEAN_BYTES


@settings(deadline=None)
@given(
    st.binary(max_size=64),
    st.sampled_from([files.png()[:33], files.webp()[:20], files.webp()[:12], b"\xff\xd8\xff", b""]),
)
def test_headers_of_any_bytes(data: bytes, start: bytes) -> None:
    try:
        header = read_header(start + data)
    except Refused:
        return
    assert header.mime_type in ("image/png", "image/jpeg", "image/webp")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.binary(min_size=4, max_size=4), st.binary(max_size=20)),
        max_size=8,
    )
)
def test_chunk_walks_of_any_bytes_end(chunks: list[tuple[int, bytes, bytes]]) -> None:
    body = b"".join(length.to_bytes(4, "big") + kind + data for length, kind, data in chunks)
    for walk, start in ((strip_png, files.png()[:8]), (webp_is_lossless, b"RIFF\x40\0\0\0WEBP")):
        try:
            walk(start + body)
        except Refused:
            continue


def test_the_serving_process_imports_no_decoder() -> None:
    code = (
        "import sys, safelight.references.gather, safelight.references.decode, safelight.references.fetch;"
        "sys.exit('pyvips' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", [b"acTL", b"fcTL", b"fdAT"])
def test_each_sign_of_an_animation_is_one(kind: bytes) -> None:
    with pytest.raises(Refused, match="animated"):
        strip_png(files.with_chunks(files.png(), files.chunk(kind, bytes(26))))


def test_a_profile_stays_unless_it_is_a_bomb_or_none() -> None:
    sound = files.png(files.plain().icc_transform("p3", input_profile="srgb"), keep="icc")
    assert b"iCCP" in strip_png(sound)
    whole = zlib.compress(bytes(100))
    for body in (
        b"Bomb\0\0" + files.deflated_zeros(64 << 20),
        b"Cut\0\0" + whole[:-6],
        b"None\0\0no stream at all",
        b"No end of the name",
        b"n" * 80 + b"\0\0" + whole,
    ):
        assert b"iCCP" not in strip_png(files.with_chunks(files.png(), files.chunk(b"iCCP", body)))


def test_what_becomes_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = files.png()
    _, cleaned = clean.clean(data)
    monkeypatch.setattr(clean, "MAX_CLEAN_BYTES", len(cleaned))
    assert clean.clean(data) == ("image/png", cleaned)
    monkeypatch.setattr(clean, "MAX_CLEAN_BYTES", len(cleaned) - 1)
    with pytest.raises(Refused, match="too_large_clean"):
        clean.clean(data)


@pytest.mark.parametrize("named", [b"image/jpeg", b"image/png; x=1", b"", b"text/html", b"\xff"])
def test_a_worker_that_names_another_type_is_not_believed(named: bytes) -> None:
    assert decode._checked(b"image/png\n" + files.png()) == ("image/png", files.png())
    with pytest.raises(Refused):
        decode._checked(named + b"\n" + files.png())
