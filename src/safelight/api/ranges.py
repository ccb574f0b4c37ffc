"""Conditional and range requests for downloads (RFC 9110, sections 8.8, 13 and 14), free of any framework.

``decide`` turns the request's header fields into one of six answers; ``frame`` lays out a
multipart/byteranges body. Byte positions are Python's: ``start`` inclusive, ``end`` exclusive. A file never
changes once it is announced and its ETag is its content's hash, so validators are exact and dates are not
used.
"""

from __future__ import annotations

import re
from itertools import chain, repeat
from typing import Final

import msgspec

from safelight.domain.numbers import whole_number

MAX_RANGES: Final = 8
"""A request for more gets the whole file: section 14.2 lets a server ignore a set of many ranges."""

_TAG = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(?:,|\Z)')
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BOUNDARY = re.compile(r"[0-9A-Za-z]{16,70}")


class NotModified(msgspec.Struct, frozen=True):
    """304: the client has it."""


class PreconditionFailed(msgspec.Struct, frozen=True):
    """412: the client wants another version."""


class Unsatisfiable(msgspec.Struct, frozen=True):
    """416, with ``Content-Range: bytes */size`` (section 15.5.17)."""

    size_bytes: int

    @property
    def content_range(self) -> str:
        return f"bytes */{self.size_bytes}"


class Whole(msgspec.Struct, frozen=True):
    """200 and the whole file."""


class Part(msgspec.Struct, frozen=True):
    """206 and one piece: bytes ``start`` to ``end`` (exclusive), never empty."""

    start: int
    end: int

    def content_range(self, size_bytes: int) -> str:
        """The field's value (section 14.4), whose last position is inclusive."""
        return f"bytes {self.start}-{self.end - 1}/{size_bytes}"


class Parts(msgspec.Struct, frozen=True):
    """206 and several pieces as multipart/byteranges: apart from each other, in the order they were asked
    for."""

    parts: tuple[Part, ...]


Decision = NotModified | PreconditionFailed | Unsatisfiable | Whole | Part | Parts


class Framing(msgspec.Struct, frozen=True):
    """A multipart/byteranges body (section 14.6): each head before its part's bytes, and the tail at the
    end."""

    content_type: str
    content_length: int
    heads: tuple[bytes, ...]
    tail: bytes


def strong_etag(sha256_hex: str) -> str:
    """The ETag of a file with that SHA-256, in 64 lower-case hex digits. Raises ``ValueError``."""
    if not _SHA256.fullmatch(sha256_hex):
        raise ValueError("not a SHA-256 in lower-case hex")
    return f'"{sha256_hex}"'


def decide(
    *,
    size_bytes: int,
    etag: str,
    method: str = "GET",
    if_match: str | None = None,
    if_none_match: str | None = None,
    if_range: str | None = None,
    range_header: str | None = None,
) -> Decision:
    """What to answer to a GET or HEAD of an existing file whose strong ETag is ``etag``.

    Header values are as received, decoded as latin-1, None where absent; repeated fields are joined with ",
    ". Never raises, whatever they hold. The order of the conditions is that of section 13.2.2; ranges are
    for GET alone (section 14.2), so a HEAD tells of the whole file.
    """
    if if_match is not None and not _matches(if_match, etag, weak=False):
        return PreconditionFailed()
    if if_none_match is not None and _matches(if_none_match, etag, weak=True):
        return NotModified()
    if range_header is None or method != "GET":
        return Whole()
    if if_range is not None and if_range.strip(" \t") != etag:
        return Whole()  # another version, a weak tag or a date: none proves that the pieces fit (section 13.1.5)
    return _ranged(range_header, size_bytes)


def frame(decision: Parts, *, size_bytes: int, mime_type: str, boundary: str) -> Framing:
    """Lay out the body for several parts.

    ``boundary`` is 16 to 70 letters and digits, random for each answer, so that no file can hold it. Raises
    ``ValueError``.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise ValueError("a boundary is 16 to 70 letters and digits")
    heads = tuple(
        f"{before}--{boundary}\r\nContent-Type: {mime_type}\r\n"
        f"Content-Range: {part.content_range(size_bytes)}\r\n\r\n".encode()
        for before, part in zip(chain([""], repeat("\r\n")), decision.parts, strict=False)
    )
    tail = f"\r\n--{boundary}--\r\n".encode()
    length = sum(map(len, heads)) + sum(part.end - part.start for part in decision.parts) + len(tail)
    return Framing(f"multipart/byteranges; boundary={boundary}", length, heads, tail)


def _matches(field: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or ``*``, names the file. A field that is no such list names nothing.

    With ``weak`` a tag's weakness does not count (section 8.8.3.2).
    """
    if field.strip(" \t") == "*":
        return True
    found, place = False, 0
    while place < len(field):
        match = _TAG.match(field, place)
        if match is None:
            return False
        is_weak, opaque = match.groups()
        found = found or (opaque is not None and f'"{opaque}"' == etag and (weak or not is_weak))
        place = match.end()
    return found


def _ranged(field: str, size_bytes: int) -> Decision:
    """The answer to a Range field whose conditions hold."""
    specs = _parsed(field)
    if specs is None:
        return Whole()
    if size_bytes == 0 and any(first is None and last for first, last in specs):
        return Whole()  # the last bytes of nothing are satisfiable, but no Content-Range can say so
    parts = _apart([part for spec in specs if (part := _resolved(*spec, size_bytes)) is not None])
    if not parts:
        return Unsatisfiable(size_bytes)
    return parts[0] if len(parts) == 1 else Parts(tuple(parts))


def _parsed(field: str) -> list[tuple[int | None, int | None]] | None:
    """First and last position of each range as written (section 14.1.1); None where the field is to be
    ignored: another unit, too many ranges, or one that is not well-formed (section 14.2)."""
    unit, _, text = field.strip(" \t").partition("=")
    written = [spec for spec in (piece.strip(" \t") for piece in text.split(",")) if spec]
    if unit.lower() != "bytes" or not 1 <= len(written) <= MAX_RANGES:
        return None
    specs: list[tuple[int | None, int | None]] = []
    for spec in written:
        match = _SPEC.fullmatch(spec)
        if match is None or spec == "-":
            return None
        first, last = whole_number(match[1]), whole_number(match[2])
        if first is not None and last is not None and last < first:
            return None
        specs.append((first, last))
    return specs


def _resolved(first: int | None, last: int | None, size_bytes: int) -> Part | None:
    """The bytes that a range means in a file of that size; None where it means none."""
    if first is None:
        start, end = max(0, size_bytes - (last or 0)), size_bytes
    else:
        start, end = first, size_bytes if last is None else min(last + 1, size_bytes)
    return Part(start, end) if start < end else None


def _apart(parts: list[Part]) -> list[Part]:
    """Ranges that overlap or touch made one, at the place of the first of them (section 15.3.7.2).

    However often a byte is asked for, it is sent once.
    """
    apart: list[Part] = []
    for part in parts:
        near = [other for other in apart if other.start <= part.end and part.start <= other.end]
        joined = Part(min(x.start for x in (part, *near)), max(x.end for x in (part, *near)))
        place = apart.index(near[0]) if near else len(apart)
        apart[place:] = [joined, *(other for other in apart[place:] if other not in near)]
    return apart
