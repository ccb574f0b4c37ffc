"""Hostile and ordinary image files, made byte by byte where no encoder would make them."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
import zlib
from typing import Any

import pyvips

SECRET = b"canary-metadata"


def plain(width: int = 64, height: int = 48, bands: int = 3) -> Any:
    """A picture whose corners differ, so that turning and mirroring show."""
    ramp = pyvips.Image.xyz(width, height)
    scaled = [ramp[0] * (255 / max(1, width - 1)), ramp[1] * (255 / max(1, height - 1)), ramp[0] * 0 + 40]
    picture = scaled[0].bandjoin(scaled[1:]) if bands >= 3 else scaled[0]
    if bands in (2, 4):
        picture = picture.bandjoin(200)
    return picture.cast("uchar").copy(interpretation="srgb" if bands >= 3 else "b-w")


def flat(width: int, height: int, bands: int = 3) -> Any:
    return pyvips.Image.black(width, height, bands=bands).copy(interpretation="srgb")


def png(image: Any = None, **options: Any) -> bytes:
    return bytes((plain() if image is None else image).pngsave_buffer(**options))


def jpeg(image: Any = None, **options: Any) -> bytes:
    return bytes((plain() if image is None else image).jpegsave_buffer(**options))


def webp(image: Any = None, **options: Any) -> bytes:
    return bytes((plain() if image is None else image).webpsave_buffer(**options))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(file: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks put in after its header."""
    return file[:33] + b"".join(chunks) + file[33:]


@functools.cache
def deflated_zeros(size_bytes: int) -> bytes:
    deflate = zlib.compressobj(9)
    parts = [deflate.compress(bytes(1024 * 1024)) for _ in range(size_bytes // (1024 * 1024))]
    return b"".join([*parts, deflate.flush()])


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large and holds next to nothing."""
    body = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


@functools.cache
def apng(frames: int) -> bytes:
    still = png()
    control = chunk(b"acTL", struct.pack(">II", frames, 0))
    pixels = zlib.compress((b"\0" + bytes(64 * 3)) * 48)
    frame = struct.pack(">IIIIHHBB", 64, 48, 0, 0, 1, 10, 0, 0)
    later = b"".join(
        chunk(b"fcTL", struct.pack(">I", 2 * n + 1) + frame) + chunk(b"fdAT", struct.pack(">I", 2 * n + 2) + pixels)
        for n in range(frames)
    )
    return with_chunks(still, control)[:-12] + later + still[-12:]


@functools.cache
def gif(frames: int) -> bytes:
    """Frames of one pixel each on a large screen (GIF89a)."""
    head = b"GIF89a" + struct.pack("<HHBBB", 5000, 5000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\0\0\0\0" + b"\x2c\0\0\0\0" + struct.pack("<HHB", 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


@functools.cache
def animated_webp(frames: int) -> bytes:
    pages = plain(32, 32 * frames).copy()
    pages.set_type(pyvips.GValue.gint_type, "page-height", 32)
    return webp(pages)


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG that says it is this large."""
    file = bytearray(jpeg())
    start = file.index(b"\xff\xc0")
    file[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(file)


@functools.cache
def jpeg_of_many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    file = jpeg(flat(2000, 2000), interlace=True)
    start = file.rindex(b"\xff\xda")
    return file[:-2] + file[start:-2] * scans + file[-2:]


@functools.cache
def lying_webp() -> bytes:
    """A canvas of one pixel around a picture of 36 megapixels."""
    inner = webp(flat(6000, 6000), lossless=True)[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(10)
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(inner)) + b"WEBP" + canvas + inner


def padded(file: bytes, size_bytes: int) -> bytes:
    """The file with trailing bytes up to exactly this size."""
    return file + b"\0" * (size_bytes - len(file))


def zipped() -> bytes:
    """A ZIP of one file, which readers find from its end."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.html", HTML + SECRET)
    return archive.getvalue()


HTML = b"<!doctype html><script>alert(document.domain)</script>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
