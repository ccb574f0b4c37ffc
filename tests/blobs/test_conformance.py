"""What every object store does alike. A new store is one line in ``STORES``."""

import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from safelight.blobs import open_store, remote
from safelight.blobs.observed import observed
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.ports import BlobStore, MakingStore, NotingStore, PresignedStore

Write = Callable[..., Path]

STORES = {
    "local": lambda request, tmp_path: f"file://{tmp_path}/media",
    "s3": lambda request, tmp_path: request.getfixturevalue("s3_server").url("media", f"p-{secrets.token_hex(8)}/x"),
}


@pytest.fixture(params=list(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    store = observed(open_store(STORES[request.param](request, tmp_path)))
    yield store
    await store.close()


async def put(store: BlobStore, write: Write, key: str, content: bytes = b"content") -> None:
    await store.put(key, write(content), mime_type="image/png")


async def read(store: BlobStore, key: str, start: int, end: int) -> bytes:
    return b"".join([chunk async for chunk in store.stream(key, start, end)])


async def keys(store: BlobStore, prefix: str = "") -> list[str]:
    return sorted([facts.key async for facts in store.walk(prefix)])


@pytest.mark.parametrize("kind", list(STORES))
async def test_an_observed_store_can_do_whatever_the_store_can(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Otherwise it is asked for what it is, and is something less."""
    store = open_store(STORES[kind](request, tmp_path))
    able = {name for name in dir(store) if name[0] != "_" and callable(getattr(store, name))}
    assert able == {name for name in dir(observed(store)) if name[0] != "_"}
    for port in (PresignedStore, NotingStore, MakingStore):
        assert isinstance(observed(store), port) == isinstance(store, port)
    await store.close()


async def test_what_is_put_is_got(store: BlobStore, write: Write) -> None:
    source = write(b"\x89PNG\x00 bytes")
    await store.put("m/ab/req-01_0.png", source, mime_type="image/png")
    assert await store.get("m/ab/req-01_0.png") == b"\x89PNG\x00 bytes"
    assert await store.exists("m/ab/req-01_0.png")
    assert source.exists()


async def test_the_same_put_again_is_harmless_and_another_replaces_the_whole(store: BlobStore, write: Write) -> None:
    await put(store, write, "a/b", b"long content")
    await put(store, write, "a/b", b"long content")
    assert await store.get("a/b") == b"long content"
    await put(store, write, "a/b", b"short")
    assert await store.get("a/b") == b"short"
    assert await keys(store) == ["a/b"]


async def test_a_consumed_source_is_gone(store: BlobStore, write: Write) -> None:
    source = write(b"moved")
    await store.put("a/moved", source, mime_type="image/png", consume=True)
    assert not source.exists()
    assert await store.get("a/moved") == b"moved"


@pytest.mark.parametrize("size_bytes", [0, 1, 100_000, remote.PART_BYTES + 1])
async def test_bytes_are_stored_as_a_file_is(store: BlobStore, write: Write, size_bytes: int) -> None:
    content = secrets.token_bytes(size_bytes)
    await store.put("a/bytes", write(b"what was there before"), mime_type="image/png")
    await store.put("a/bytes", content, mime_type="image/png", consume=True)
    assert await store.get("a/bytes") == content
    assert await keys(store) == ["a/bytes"]


async def test_an_empty_file_is_an_object(store: BlobStore, write: Write) -> None:
    await put(store, write, "a/empty", b"")
    assert await store.exists("a/empty")
    assert await store.get("a/empty") == b""
    assert await read(store, "a/empty", 0, 0) == b""


async def test_a_missing_source_stores_nothing(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put("a/b", tmp_path / "nothing", mime_type="image/png")
    assert not await store.exists("a/b")


async def test_a_missing_object_is_file_not_found(store: BlobStore, write: Write) -> None:
    await put(store, write, "folder/object")
    for key in ("nothing", "folder/nothing", "folder", "folder/object/below"):
        assert not await store.exists(key)
        with pytest.raises(FileNotFoundError):
            await store.get(key)
        with pytest.raises(FileNotFoundError):
            await read(store, key, 0, 1)


async def test_a_large_object_goes_up_in_parts_and_down_in_ranges(store: BlobStore, write: Write) -> None:
    content = secrets.token_bytes(2 * remote.PART_BYTES + 12_345)
    size = len(content)
    await put(store, write, "large/object", content)
    chunks = [chunk async for chunk in store.stream("large/object", 0, size)]
    assert b"".join(chunks) == content
    assert len(chunks) > 4
    assert max(len(chunk) for chunk in chunks) <= 2 * 1024 * 1024
    for start, end in ((0, 1), (size - 1, size), (5, 5), (1000, 2_000_000), (remote.PART_BYTES - 1, size)):
        assert await read(store, "large/object", start, end) == content[start:end]


async def test_a_stream_may_be_left_early(store: BlobStore, write: Write) -> None:
    await put(store, write, "large/object", secrets.token_bytes(3_000_000))
    stream = store.stream("large/object", 0, 3_000_000)
    assert len(await anext(stream)) > 0
    await stream.aclose()
    await store.delete(["large/object"])
    assert not await store.exists("large/object")


@pytest.mark.parametrize(("start", "end"), [(0, 8), (3, 100), (7, 8), (100, 200)])
async def test_an_object_too_short_is_told_before_the_first_byte(
    store: BlobStore, write: Write, start: int, end: int
) -> None:
    await put(store, write, "a/b", b"content")
    stream = store.stream("a/b", start, end)
    with pytest.raises(ServiceUnavailable):
        await anext(stream)


async def test_many_are_deleted_and_absent_ones_are_no_error(
    store: BlobStore, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_DELETE_BATCH", 4)
    for number in range(10):
        await put(store, write, f"d/{number % 3}/{number}")
    await put(store, write, "d/kept")
    gone = [f"d/{number % 3}/{number}" for number in range(10)] + ["d/never", "e/never", "d/kept/below"]
    await store.delete(gone)
    assert await keys(store) == ["d/kept"]
    await store.delete(gone)
    await store.delete([])
    await put(store, write, "d/0/0")
    assert await keys(store) == ["d/0/0", "d/kept"]


async def test_walk_finds_what_lies_in_the_folder(store: BlobStore, write: Write) -> None:
    for key in ("a/b/1", "a/b/c/2", "a/bc/3", "z"):
        await put(store, write, key, key.encode())
    assert await keys(store) == ["a/b/1", "a/b/c/2", "a/bc/3", "z"]
    assert await keys(store, "a/b") == await keys(store, "a/b/") == ["a/b/1", "a/b/c/2"]
    assert await keys(store, "nothing") == []
    (facts,) = [facts async for facts in store.walk("a/bc")]
    assert facts.size_bytes == 6
    assert abs(facts.modified_at - datetime.now(UTC)) < timedelta(minutes=5)


async def test_the_probe_leaves_nothing(store: BlobStore) -> None:
    await store.probe()
    await store.probe()
    assert await keys(store) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/abs",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "../a",
        "a/./b",
        "a\0b",
        ".incoming/x",
        "a\\b",
        "a b",
        "a/%2e%2e/b",
        "ä",
        "a\n",
        "a" * 201,
        "/".join(["abcd"] * 200),
    ],
)
async def test_a_key_is_relative_and_plain(store: BlobStore, write: Write, key: str) -> None:
    with pytest.raises(ValueError, match="not a blob key"):
        await put(store, write, key)
    with pytest.raises(ValueError, match="not a blob key"):
        await store.get(key)
    with pytest.raises(ValueError, match="not a blob key"):
        await read(store, key, 0, 1)
    with pytest.raises(ValueError, match="not a blob key"):
        await store.delete(["fine", key])
    with pytest.raises(ValueError, match="not a blob key"):
        await store.exists(key)
    with pytest.raises(ValueError, match="not a blob key"):
        store.local_path(key)
    if key:
        with pytest.raises(ValueError, match="not a blob key"):
            await keys(store, key if key != "a/" else "a//")


async def test_a_range_is_a_range(store: BlobStore) -> None:
    for start, end in ((-1, 1), (2, 1)):
        with pytest.raises(ValueError, match="not a byte range"):
            await read(store, "a", start, end)


async def test_only_a_local_object_has_a_path(store: BlobStore, write: Write) -> None:
    await put(store, write, "a/b", b"content")
    path = store.local_path("a/b")
    assert (path is None) == isinstance(store, PresignedStore)
    assert path is None or path.read_bytes() == b"content"


async def test_a_presigned_link_needs_no_key_and_has_the_type(store: BlobStore, write: Write) -> None:
    if not isinstance(store, PresignedStore):
        pytest.skip("a local folder has no links of its own")
    await put(store, write, "a/b", b"content")
    link = await store.presigned_url("a/b", 60)
    async with aiohttp.ClientSession() as session:
        async with session.get(link) as answer:
            assert (answer.status, await answer.read()) == (200, b"content")
            assert answer.headers["Content-Type"] == "image/png"
        async with session.get(link, headers={"Range": "bytes=1-3"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"ont")
        async with session.head(await store.presigned_url("a/b", 60, method="HEAD")) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "7")
        async with session.get(link.replace("Signature=", "Signature=0")) as answer:
            assert answer.status == 403
    for seconds in (0, 8 * 24 * 3600):
        with pytest.raises(ValueError, match="presigned"):
            await store.presigned_url("a/b", seconds)
