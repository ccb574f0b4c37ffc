"""Pictures within an answer: exact to the byte, and never whole in memory."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from safelight.api.openai.inline import begun, length_with, placeholder, with_files
from safelight.blobs.local import LocalStore
from safelight.domain.errors import DownloadExpired
from safelight.keeping.files import FileToSend

LARGE_BYTES = 24 * 1024 * 1024


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    made = LocalStore(tmp_path / "store")
    yield made
    await made.close()


async def stored(store: LocalStore, folder: Path, sizes: Sequence[int]) -> list[FileToSend]:
    """Files of these sizes, whose bytes tell where they are."""
    files = []
    for place, size_bytes in enumerate(sizes):
        source = folder / f"{place}"
        source.write_bytes((bytes(range(256)) * (size_bytes // 256 + 1))[:size_bytes])
        await store.put(f"a/{place}", source, mime_type="image/png")
        files.append(
            FileToSend(
                generation_id="req-x",
                index=0,
                key=f"a/{place}",
                mime_type="image/png",
                size_bytes=size_bytes,
                sha256=bytes(32),
                is_stored=True,
                deletes_at_unix=0,
            )
        )
    return files


@pytest.mark.parametrize("sizes", [[1], [2], [3, 4], [112 * 1024, 112 * 1024 + 1, 300_001], [1] * 10])
async def test_exact_and_as_long_as_announced(sizes: list[int], store: LocalStore, tmp_path: Path) -> None:
    files, mark = await stored(store, tmp_path, sizes), placeholder()
    text = json.dumps({"data": [{"b64_json": mark} for _ in files], "after": "é"}).encode()
    pieces = await begun(with_files(text, mark, files, store))
    sent = b"".join([piece async for piece in pieces])
    assert len(sent) == length_with(text, mark, files)
    for place, each in enumerate(json.loads(sent)["data"]):
        assert base64.b64decode(each["b64_json"], validate=True) == (tmp_path / f"{place}").read_bytes()


async def test_without_files_it_is_the_text(store: LocalStore) -> None:
    assert (
        b"".join([piece async for piece in await begun(with_files(b"a text", placeholder(), [], store))]) == b"a text"
    )


async def test_memory_does_not_grow_with_the_pictures(store: LocalStore, tmp_path: Path) -> None:
    files, mark = await stored(store, tmp_path, [LARGE_BYTES] * 3), placeholder()
    text = mark.encode() * 3
    tracemalloc.start()
    try:
        sent_bytes = 0
        async for piece in await begun(with_files(text, mark, files, store)):
            sent_bytes += len(piece)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent_bytes == 3 * LARGE_BYTES * 4 // 3
    assert peak_bytes < 2 * 1024 * 1024


async def test_a_first_file_that_is_gone_is_an_error_before_anything_is_sent(store: LocalStore, tmp_path: Path) -> None:
    files, mark = await stored(store, tmp_path, [10]), placeholder()
    await store.delete(["a/0"])
    with pytest.raises(DownloadExpired):
        await begun(with_files(mark.encode(), mark, files, store))
