"""A store whose operations are observed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import cast

from safelight.domain.ports import BlobFacts, BlobStore, LinkNote, MakingStore, NotingStore, PresignedStore, ReadMethod
from safelight.telemetry import observe


def observed(store: BlobStore) -> BlobStore:
    """The store, of the same capabilities."""
    match store:
        case PresignedStore():
            return _ObservedPresigned(store)
        case NotingStore():
            return _ObservedLocal(store)
        case _:
            return _Observed(store)


class _Observed:
    def __init__(self, store: BlobStore) -> None:
        self._store = store

    async def put(self, key: str, source: Path | bytes, *, mime_type: str, consume: bool = False) -> None:
        size_bytes = _size_bytes(source)
        with observe.StoreCall("put"):
            await self._store.put(key, source, mime_type=mime_type, consume=consume)
        observe.stored("put", size_bytes)

    async def get(self, key: str) -> bytes:
        with observe.StoreCall("get"):
            data = await self._store.get(key)
        observe.stored("get", len(data))
        return data

    async def stream(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        pieces = cast(AsyncGenerator[bytes], self._store.stream(key, start, end))
        async with aclosing(pieces):
            with observe.StoreCall("read"):
                first = await anext(pieces, b"")
            yield first
            async for piece in pieces:
                yield piece

    def local_path(self, key: str) -> Path | None:
        return self._store.local_path(key)

    async def delete(self, keys: list[str]) -> None:
        with observe.StoreCall("delete"):
            await self._store.delete(keys)

    async def exists(self, key: str) -> bool:
        with observe.StoreCall("look"):
            return await self._store.exists(key)

    async def present(self, keys: list[str]) -> set[str]:
        with observe.StoreCall("look"):
            return await self._store.present(keys)

    async def walk(self, prefix: str) -> AsyncIterator[BlobFacts]:
        with observe.StoreCall("list"):
            async for facts in self._store.walk(prefix):
                yield facts

    async def probe(self) -> None:
        await self._store.probe()

    async def close(self) -> None:
        await self._store.close()


def _size_bytes(source: Path | bytes) -> int:
    """0 where it is not there, which the store has its own word for."""
    try:
        return len(source) if isinstance(source, bytes) else source.stat().st_size
    except OSError:
        return 0


class _ObservedPresigned(_Observed):
    async def presigned_url(self, key: str, expires_seconds: int, *, method: ReadMethod = "GET") -> str:
        store = cast(PresignedStore, self._store)
        return await store.presigned_url(key, expires_seconds, method=method)


class _ObservedLocal(_Observed):
    """Notes are no operations of the store: they are for a web server beside it."""

    async def put_made(self, key: str, make: Callable[[], bytes | Path]) -> None:
        call, size_bytes = observe.StoreCall("put"), 0
        with ExitStack() as ended:

            def made() -> bytes | Path:
                nonlocal size_bytes
                source = make()
                size_bytes = _size_bytes(source)
                ended.enter_context(call)  # from here on it is the store's time
                return source

            await cast(MakingStore, self._store).put_made(key, made)
        observe.stored("put", size_bytes)

    async def want_notes(self) -> None:
        await self._noting.want_notes()

    async def note_links(self, notes: list[LinkNote]) -> None:
        await self._noting.note_links(notes)

    async def withdraw_links(self, files: list[tuple[str, int]]) -> None:
        await self._noting.withdraw_links(files)

    async def withdraw_workspace(self, workspace_id: int) -> None:
        await self._noting.withdraw_workspace(workspace_id)

    async def sweep_notes(self, first_id: str, last_id: str) -> int:
        return await self._noting.sweep_notes(first_id, last_id)

    @property
    def _noting(self) -> NotingStore:
        return cast(NotingStore, self._store)
