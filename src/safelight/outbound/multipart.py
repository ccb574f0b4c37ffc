"""Forms with files (RFC 7578), written as browsers and the usual clients write them.

A text part has no type of its own: some servers take one that has for a file.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import msgspec


class FilePart(msgspec.Struct, frozen=True):
    """A file of a form."""

    field: str
    name: str
    mime_type: str
    data: bytes


def multipart(fields: Iterable[tuple[str, str]], files: Iterable[FilePart] = ()) -> tuple[bytes, str]:
    """A form's body, and the ``Content-Type`` to send it with."""
    boundary = secrets.token_hex(16)
    pieces: list[bytes] = []
    for name, value in fields:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"\r\n\r\n'
        pieces += (head.encode(), value.encode("utf-8", "replace"), b"\r\n")
    for file in files:
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f'name="{_escaped(file.field)}"; filename="{_escaped(file.name)}"\r\nContent-Type: {file.mime_type}\r\n\r\n'
        )
        pieces += (head.encode(), file.data, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _escaped(name: str) -> str:
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
