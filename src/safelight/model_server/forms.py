"""A form with files (RFC 7578), read whole: bodies are bounded before they come here."""

from __future__ import annotations

import re
from email.message import Message

import msgspec

_BOUNDARY = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
_MOST_PARTS = 200
_MOST_HEAD_BYTES = 8192


class Part(msgspec.Struct, frozen=True):
    """A field of a form. ``is_file``: it came with a file's name."""

    name: str
    data: bytes
    is_file: bool


def read_form(body: bytes, content_type: str) -> list[Part]:
    """The parts of the form, in order. Raises ``ValueError`` for what is none."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueError("the form's boundary is missing")
    mark = b"--" + found[1].encode("latin-1")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark, _MOST_PARTS)
    if len(pieces) > _MOST_PARTS:
        raise ValueError("the form has too many parts")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ValueError("the form does not end")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, gap, data = piece.partition(b"\r\n\r\n")
    if not gap:
        raise ValueError("a part of the form has no head")
    if len(head) > _MOST_HEAD_BYTES:
        raise ValueError("the head of a part is too long")
    message = Message()
    for line in head.strip().split(b"\r\n"):
        name, _, value = line.decode("utf-8", "replace").partition(":")
        message[name.strip()] = value.strip()
    field = message.get_param("name", header="content-disposition")
    if not isinstance(field, str):
        raise ValueError("a part of the form has no name")
    return Part(field, data, message.get_filename() is not None)
