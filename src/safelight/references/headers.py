"""What the first bytes of a file say it is. Pure, and safe on any bytes: fixed offsets only, no walking.

Sources: PNG (W3C PNG, third edition, sections 5.2 and 11.2.1), JPEG (ITU-T T.81, annex B), WebP (RFC 9649).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from safelight.domain.media import MimeType

MAX_PIXELS = 25_000_000
MAX_SIDE_PIXELS = 65_535

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WEBP_ANIMATION_FLAG = 0x02

Refusal = Literal[
    "not_an_image",
    "unsupported_type",
    "too_many_pixels",
    "too_large_clean",
    "animated",
    "broken",
    "overloaded_decoder",
]
"""Why an image is refused. The words for a client are in ``decode.py``."""


class Refused(Exception):
    """The image is refused for ``reason``."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        super().__init__(f"{reason} {detail}".strip())
        self.reason = reason
        self.detail = detail


class ImageHeader(msgspec.Struct, frozen=True):
    """The type by content and, where a fixed offset tells it, the size in pixels (else 0)."""

    mime_type: MimeType
    width: int = 0
    height: int = 0


def read_header(data: bytes) -> ImageHeader:
    """Tell PNG, JPEG and WebP by content, and refuse what already shows: size, animation, another type."""
    header = _recognise(data)
    if header is None:
        raise Refused("unsupported_type" if other_type(data) else "not_an_image", other_type(data))
    if header.width:
        check_size(header.width, header.height)
    return header


def check_size(width: int, height: int) -> None:
    """Refuse what has no pixels or too many."""
    if width < 1 or height < 1:
        raise Refused("broken")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PIXELS:
        raise Refused("too_many_pixels")


def other_type(data: bytes) -> str:
    """The name of a well-known type that is not taken, or an empty string."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return "SVG"
    if start.startswith((b"<!doctype html", b"<html")):
        return "HTML"
    if data[4:8] == b"ftyp":
        return "AVIF, HEIC or MP4"
    if data[:4] in (b"II*\x00", b"MM\x00*"):
        return "TIFF"
    if data[:2] == b"BM":
        return "BMP"
    if data[:5] == b"%PDF-":
        return "PDF"
    return ""


def _recognise(data: bytes) -> ImageHeader | None:
    if data[:8] == PNG_SIGNATURE:
        if data[8:16] != b"\x00\x00\x00\rIHDR" or len(data) < 33:
            raise Refused("broken")
        return ImageHeader("image/png", int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    if data[:3] == b"\xff\xd8\xff":
        return ImageHeader("image/jpeg")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    return None


def _read_webp(data: bytes) -> ImageHeader:
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise Refused("broken")
    if kind == b"VP8X":  # RFC 9649 section 2.7.1
        if body[0] & _WEBP_ANIMATION_FLAG:
            raise Refused("animated")
        return ImageHeader(
            "image/webp", int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
        )
    if kind == b"VP8L" and body[0] == 0x2F:  # section 3.4: 14 bits of width - 1, then of height - 1
        bits = int.from_bytes(body[1:5], "little")
        return ImageHeader("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":  # section 2.5: a key frame's start code
        width, height = int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little")
        return ImageHeader("image/webp", width & 0x3FFF, height & 0x3FFF)
    raise Refused("broken")
