"""Media that comes inside JSON, as base64: long ones go to disk while the answer is being received.

A video of 100 MiB would otherwise be in memory three times: as the body, as a text of it, and as bytes.
"""

from __future__ import annotations

import binascii
import re
import secrets
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path

import msgspec

from safelight.outbound.resolver import OutboundRefused

LEAST_BYTES = 64 * 1024
"""A text that is shorter stays where it is."""
MAX_REST_BYTES = 32 * 1024 * 1024
"""What an answer may hold besides its media."""

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-=\s]*")
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\u[\s\S]{4}|\\[^u])*+')
"""What of a piece is inside a string that began before it: up to its end, or to an escape that is cut off."""
_UP_TO_STRING = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\u[\s\S]{4}|\\[^u])*+")*+')
"""What of a piece is between strings, and whole ones; a quote behind it opens one that the piece does not close."""
_BLANKS = b" \t\r\n"
_QUOTE = ord('"')
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def decoded(text: str) -> bytes | None:
    """The bytes of base64 or of a data URL of it, with blanks in it or without its padding, too; None: it is neither.

    RFC 4648, sections 4 and 5; RFC 2397.
    """
    head = _DATA_URL.match(text)
    reading = _Decoding()
    try:
        data = reading.more(text[head.end() if head else 0 :].encode("ascii"))
        return data + reading.end()
    except (binascii.Error, ValueError):
        return None


class MediaInJson:
    """Takes the pieces of one body. What is left of it has a name in place of each long text of base64.

    ``files`` has the file of each name, in a folder that is made when it is first needed; None: the text began as
    base64 and is none. Raises ``OutboundRefused`` where the rest is too large.
    """

    def __init__(self, make_folder: Callable[[], Path]) -> None:
        self._make_folder = make_folder
        self._name = f"inline-{secrets.token_hex(8)}"
        self._rest = bytearray()
        self._text: bytearray | None = None
        """The string that is being read, as it is written there; None: between strings."""
        self._escape = b""
        self._is_text = False
        """It is long, and no base64."""
        self._file: BufferedWriter | None = None
        self._decoding: _Decoding | None = None
        self.files: dict[str, Path | None] = {}

    def feed(self, more: bytes) -> None:
        for start in range(0, len(more), LEAST_BYTES):
            self._feed(more[start : start + LEAST_BYTES])

    def _feed(self, piece: bytes) -> None:
        """A piece so short that a string which begins and ends in it is too short to go to disk: those are not looked
        at one by one, as there may be ten thousand."""
        at = 0
        while at < len(piece):
            if self._text is None:
                at = self._between(piece, at)
            elif self._escape:
                at = self._in_escape(piece, at)
            else:
                at = self._in_string(piece, at)

    def end(self) -> bytes:
        """The body is over: what is left of it."""
        if self._text is not None:
            self._rest += self._text
        self._close_file()
        return bytes(self._rest)

    def discard(self) -> None:
        """The body was broken off, and is asked for again or not: nothing of its media stays on disk."""
        self._close_file()
        for path in filter(None, self.files.values()):
            path.unlink(missing_ok=True)

    def _between(self, piece: bytes, at: int) -> int:
        found = _UP_TO_STRING.match(piece, at)
        assert found is not None
        is_opened = found.end() < len(piece)
        upto = found.end() + is_opened
        self._keep(piece[at:upto])
        if is_opened:
            self._text = bytearray()
        return upto

    def _in_string(self, piece: bytes, at: int) -> int:
        found = _IN_STRING.match(piece, at)
        assert found is not None
        self._take(found.group())
        if found.end() == len(piece):
            return len(piece)
        if piece[found.end()] == _QUOTE:
            self._end_string()
        else:
            self._escape = b"\\"
        return found.end() + 1

    def _in_escape(self, piece: bytes, at: int) -> int:
        """A backslash and what belongs to it: one letter, or ``u`` and four."""
        self._escape += piece[at : at + 1]
        if len(self._escape) == (6 if self._escape[1:2] == b"u" else 2):
            escape, self._escape = self._escape, b""
            self._take(escape)
        return at + 1

    def _take(self, more: bytes) -> None:
        assert self._text is not None
        if self._decoding is not None:
            self._write(_unescaped(more.translate(None, _BLANKS)) if b"\\" in more else more)
            return
        self._text += more
        if len(self._text) < LEAST_BYTES:
            return
        if not self._is_text and (start := _start_of_base64(bytes(self._text))) is not None:
            self._open_file(start)
        else:
            self._is_text = True
            self._keep(bytes(self._text))
            self._text.clear()

    def _open_file(self, start: bytes) -> None:
        name = f"{self._name}-{len(self.files)}"
        path = self._make_folder() / name
        self._file, self._decoding = path.open("wb"), _Decoding()
        self.files[name] = path
        self._text = bytearray(name.encode())
        self._write(start)

    def _write(self, more: bytes) -> None:
        if self._file is None or self._decoding is None:
            return
        try:
            self._file.write(self._decoding.more(more))
        except binascii.Error:
            self._give_up()

    def _end_string(self) -> None:
        assert self._text is not None
        if self._file is not None and self._decoding is not None:
            try:
                self._file.write(self._decoding.end())
            except binascii.Error:
                self._give_up()
        self._close_file()
        self._keep(bytes(self._text) + b'"')
        self._text, self._decoding, self._is_text = None, None, False

    def _give_up(self) -> None:
        name = next(reversed(self.files))
        path = self.files[name]
        self._close_file()
        if path is not None:
            path.unlink()
        self.files[name] = None

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _keep(self, more: bytes) -> None:
        if len(self._rest) + len(more) > MAX_REST_BYTES:
            raise OutboundRefused("too_large", f"over {MAX_REST_BYTES} bytes besides media")
        self._rest += more


class _Decoding:
    """Base64 that comes in pieces. Both methods raise ``binascii.Error``."""

    def __init__(self) -> None:
        self._left = b""

    def more(self, piece: bytes) -> bytes:
        text = self._left + piece.translate(_URL_SAFE, _BLANKS)
        whole = (len(text) - 1) // 4 * 4 if text else 0
        """Without the last four: where there is padding, it is there."""
        self._left = text[whole:]
        return binascii.a2b_base64(text[:whole], strict_mode=True) if whole else b""

    def end(self) -> bytes:
        left, self._left = self._left.rstrip(b"="), b""
        return binascii.a2b_base64(left + b"=" * (-len(left) % 4), strict_mode=True) if left else b""


def _start_of_base64(text: bytes) -> bytes | None:
    """What a long string begins with, without a data URL's head; None: it is no base64."""
    plain = _unescaped(text)
    head = _DATA_URL.match(plain[:256].decode("latin-1"))
    start = plain[head.end() if head else 0 :]
    return start if _BASE64.fullmatch(start) else None


def _unescaped(text: bytes) -> bytes:
    """What stands in a JSON string; nothing that is base64 where it cannot be read."""
    try:
        return msgspec.json.decode(b'"' + text + b'"', type=str).encode()
    except (msgspec.DecodeError, UnicodeDecodeError):  # cut in the middle of a character, it may be
        return b"\0"
