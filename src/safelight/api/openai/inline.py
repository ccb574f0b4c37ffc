"""Pictures within an answer, in base64: read from the store as they are sent, and never whole in memory."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import AsyncGenerator, Sequence
from typing import cast

from safelight.domain.errors import DownloadExpired
from safelight.domain.ports import BlobStore
from safelight.keeping.files import FileToSend


def placeholder() -> str:
    """What stands for a picture until it is sent; nothing else is like it."""
    return secrets.token_hex(16)


def length_with(text: bytes, mark: str, files: Sequence[FileToSend]) -> int:
    """The bytes of a text with each file, in base64, in the place of a mark."""
    return len(text) - len(files) * len(mark) + sum(-(-file.size_bytes // 3) * 4 for file in files)


async def with_files(text: bytes, mark: str, files: Sequence[FileToSend], store: BlobStore) -> AsyncGenerator[bytes]:
    """The text in pieces, with each file in the place of a mark. Raises ``DownloadExpired`` and
    ``ServiceUnavailable``: the first file's beginning is read before the first piece is there.
    """
    head, *rest = text.split(mark.encode())
    for file, then in zip(files, rest, strict=True):
        async with contextlib.aclosing(_in_base64(file, store)) as pieces:
            async for piece in pieces:
                yield head + piece
                head = b""
        head = then
    yield head


async def begun(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same pieces, of which the first is there: what fails before it is raised here."""
    first = await anext(pieces)

    async def all_of_them() -> AsyncGenerator[bytes]:
        async with contextlib.aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    return all_of_them()


async def _in_base64(file: FileToSend, store: BlobStore) -> AsyncGenerator[bytes]:
    """The file's bytes in base64. Groups of three go over into four digits; what is left of a chunk waits."""
    left = b""
    stored = cast(AsyncGenerator[bytes], store.stream(file.key, 0, file.size_bytes))
    try:
        async with contextlib.aclosing(stored):
            async for chunk in stored:
                data = left + chunk
                whole = len(data) - len(data) % 3
                left = data[whole:]
                yield base64.b64encode(data[:whole])
    except FileNotFoundError:
        raise DownloadExpired from None
    if left:
        yield base64.b64encode(left)
