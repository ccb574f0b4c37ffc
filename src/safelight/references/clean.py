"""Decoding one image and writing it anew, without anything but its pixels. Runs inside the fence only.

What comes out is 8-bit sRGB or grey, upright, and holds no metadata and no trailing bytes. It keeps its
format, but for WebP over 4 megapixels: at 25 megapixels its encoder takes 10 s and 700 MB (measured,
lossless), PNG 3 s and 100 MB.
"""

from __future__ import annotations

import zlib
from typing import Any

import pyvips

from safelight.domain.media import MimeType
from safelight.references.headers import Refused, check_size, read_header

MAX_CLEAN_BYTES = 32 * 1024 * 1024
_MAX_CHUNKS = 65_536
_MAX_PROFILE_BYTES = 4 * 1024 * 1024
_QUALITY = 95
_MAX_WEBP_PIXELS = 4_000_000
# The rest (text, time, histograms, private ones) is never shown to the decoder.
_PNG_CHUNKS_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"eXIf"}


def clean(data: bytes) -> tuple[MimeType, bytes]:
    """The type and the clean file. Raises ``Refused``; libvips' own errors mean a broken file."""
    came_as = read_header(data).mime_type
    lossless = came_as == "image/webp" and webp_is_lossless(data)
    try:
        image = _load(came_as, data)
        check_size(image.width, image.height)
        image = _upright_srgb(image)
        mime_type = _written_as(came_as, image, lossless=lossless)
        cleaned = _save(mime_type, image, lossless=lossless)
    except pyvips.Error as error:
        raise Refused("overloaded_decoder" if "memory" in str(error) else "broken", str(error)) from error
    if len(cleaned) > MAX_CLEAN_BYTES:
        raise Refused("too_large_clean")
    return mime_type, cleaned


def _load(mime_type: MimeType, data: bytes) -> Any:
    options = {"access": "sequential", "fail_on": "error"}
    if mime_type == "image/png":
        return pyvips.Image.pngload_buffer(strip_png(data), **options)
    if mime_type == "image/jpeg":
        return pyvips.Image.jpegload_buffer(data, **options)
    return pyvips.Image.webpload_buffer(data, **options)


def _upright_srgb(image: Any) -> Any:
    if image.get_typeof("orientation") and image.get("orientation") != 1:
        image = image.copy_memory().autorot()  # turning reads out of order
    if image.get_typeof("icc-profile-data"):
        try:
            image = image.icc_transform("srgb", embedded=True, depth=8)
        except pyvips.Error:
            image = image.copy()
            image.remove("icc-profile-data")
    grey = image.interpretation in ("b-w", "grey16")
    image = image.colourspace("b-w" if grey else "srgb")
    return image.cast("uchar").copy(xres=1, yres=1)  # else the dots per inch are written too


def _written_as(came_as: MimeType, image: Any, *, lossless: bool) -> MimeType:
    if came_as != "image/webp" or image.width * image.height <= _MAX_WEBP_PIXELS:
        return came_as
    return "image/png" if lossless or image.hasalpha() else "image/jpeg"


def _save(mime_type: MimeType, image: Any, *, lossless: bool) -> bytes:
    if mime_type == "image/png":
        return bytes(image.pngsave_buffer(compression=3, keep="none"))
    if mime_type == "image/jpeg":
        return bytes(image.jpegsave_buffer(Q=_QUALITY, keep="none"))
    return bytes(image.webpsave_buffer(Q=_QUALITY, lossless=lossless, effort=1, keep="none"))


def strip_png(data: bytes) -> bytes:
    """The PNG without text, private chunks and trailing bytes; refuses APNG (``acTL``) and a missing end."""
    kept = [data[:8]]
    position = 8
    for _ in range(_MAX_CHUNKS):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 12 + length
        if len(kind) < 4 or end > len(data):
            raise Refused("broken", "truncated")
        if kind in (b"acTL", b"fcTL", b"fdAT"):
            raise Refused("animated")
        chunk = data[position:end]
        if kind in _PNG_CHUNKS_KEPT and not (kind == b"iCCP" and _profile_is_a_bomb(chunk[8:-4])):
            kept.append(chunk)
        if kind == b"IEND":
            return b"".join(kept)
        position = end
    raise Refused("broken", "too many chunks")


def webp_is_lossless(data: bytes) -> bool:
    """Whether the picture is VP8L; refuses frames and a file shorter than it says (RFC 9649 section 2.3)."""
    size = int.from_bytes(data[4:8], "little") + 8
    if size > len(data):
        raise Refused("broken", "truncated")
    position, kinds = 12, set()
    for _ in range(_MAX_CHUNKS):
        if position + 8 > size:
            return b"VP8L" in kinds
        kind = data[position : position + 4]
        if kind in (b"ANIM", b"ANMF"):
            raise Refused("animated")
        kinds.add(kind)
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + length + (length & 1)
    raise Refused("broken", "too many chunks")


def _profile_is_a_bomb(body: bytes) -> bool:
    name, found, rest = body.partition(b"\0")
    if not found or len(name) > 79:
        return True
    inflating = zlib.decompressobj()
    try:
        inflating.decompress(rest[1:], _MAX_PROFILE_BYTES)
    except zlib.error:
        return True
    return bool(inflating.unconsumed_tail) or not inflating.eof
