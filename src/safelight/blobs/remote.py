"""Buckets: S3 and its like, Google Cloud Storage and Azure Blob Storage, through obstore.

obstore signs, retries what may be repeated, and splits large uploads. What is added here: our keys and
errors, a bucket that is missing is a failure and not a missing object (or a wrong setting would look like
files deleted), and a download whose connection breaks goes on where it stopped.

A process that dies in the middle of a large upload leaves its parts in the bucket, unseen and paid for.
Give the bucket a lifecycle rule that ends unfinished uploads after a day.
"""

from __future__ import annotations

import asyncio
import errno
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from safelight.blobs.checks import check_key, check_prefix, check_range, is_key
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.ports import BlobFacts, ReadMethod

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

Bucket = S3Store | GCSStore | AzureStore

CHUNK_BYTES: Final = 256 * 1024
"""What one reader of ``stream`` holds in memory, beside the buffers of its connection."""

PART_BYTES: Final = 8 * 1024 * 1024
"""Larger files go up in parts of this size; S3 takes 10,000, which makes 80 GB."""

PARTS_AT_ONCE: Final = 4
"""One upload holds that many parts in memory."""

_DELETE_BATCH: Final = 1000  # what S3 takes in one request
_AT_ONCE: Final = 32
_ANSWER_SECONDS: Final = 10.0  # whoever asks for an object may be waiting for it
_RETRY_AFTER_SECONDS: Final = 5.0  # clients repeat a few times only: a second each would not outlast a restart
_RESUMES: Final = 1  # beyond those of obstore, which count over a whole answer; ours count anew at each byte
_LONGEST_LINK_SECONDS: Final = 7 * 24 * 3600  # of Signature Version 4
_MISSING_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|The specified bucket does not exist")


class RemoteStore:
    """Objects in a bucket, below the prefix that ``bucket`` was made with.

    ``hidden`` are credentials that no error text may show.
    """

    def __init__(self, bucket: Bucket, *, hidden: tuple[str, ...] = ()) -> None:
        self._bucket = bucket
        self._hidden = tuple(value for value in hidden if value)

    async def put(self, key: str, source: Path | bytes, *, mime_type: str, consume: bool = False) -> None:
        """Upload a file, in parts if it is large; the one at a path is deleted afterwards with ``consume``.

        Raises ``FileNotFoundError`` for a missing source and ``ServiceUnavailable`` with the store's reason.
        """
        check_key(key)
        if isinstance(source, Path) and not await asyncio.to_thread(source.is_file):
            raise FileNotFoundError(errno.ENOENT, "no such file", str(source))
        with self._store_errors():
            await obstore.put_async(
                self._bucket,
                key,
                source,
                attributes={"Content-Type": mime_type},
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
        if consume and isinstance(source, Path):
            with suppress(OSError):  # the object is safe; the caller sweeps its own folder
                await asyncio.to_thread(source.unlink)

    async def get(self, key: str) -> bytes:
        """The whole object. Raises ``FileNotFoundError``."""
        with self._store_errors(check_key(key)):
            result = await self._asked_for(key, {})
            return bytes(await result.bytes_async())

    async def stream(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes ``start`` to ``end`` (exclusive), in chunks of 256 KiB and more.

        Raises ``FileNotFoundError``, and ``ServiceUnavailable`` where the object is shorter than ``end`` or
        the connection broke again and again.
        """
        check_range(start, end)
        check_key(key)
        failures = 0
        options: GetOptions = {}
        while start < end:
            options["range"] = (start, end)
            with self._store_errors(key):
                result = await self._asked_for(key, options)
            if result.range[1] != end:
                short = f"The stored object {key} is shorter than the {end} bytes it should have."
                raise ServiceUnavailable(detail=short)
            if e_tag := result.meta["e_tag"]:
                options["if_match"] = e_tag  # a continuation must be of the same object
            reason: Exception = ConnectionError("the connection ended early")
            try:
                async for chunk in result.stream(CHUNK_BYTES):
                    start, failures = start + len(chunk), 0
                    yield chunk
            except BaseError as error:
                reason = error
            failures += 1
            if start < end and failures > _RESUMES:
                raise self._unavailable(reason) from None

    def local_path(self, key: str) -> Path | None:
        """None: the object is not on this machine."""
        check_key(key)
        return None

    async def delete(self, keys: list[str]) -> None:
        """Delete objects, up to 1,000 in one request where the store can."""
        for place in range(0, len(keys), _DELETE_BATCH):
            batch = [check_key(key) for key in keys[place : place + _DELETE_BATCH]]
            try:
                with self._store_errors(batch[0]):
                    await obstore.delete_async(self._bucket, batch)
            except FileNotFoundError:
                # Some stores stop at an absent object and leave the rest of the batch in doubt.
                await asyncio.gather(*(self._delete_one(key) for key in batch))

    async def _delete_one(self, key: str) -> None:
        with suppress(FileNotFoundError), self._store_errors(key):
            await obstore.delete_async(self._bucket, key)

    async def exists(self, key: str) -> bool:
        """Asks for the first byte: the answer to HEAD has no body, so a missing bucket looks like a missing
        object."""
        try:
            with self._store_errors(check_key(key)):
                await self._asked_for(key, {"range": (0, 1)})
        except FileNotFoundError:
            return False
        except ServiceUnavailable as error:
            if _is_unsatisfiable(error.__cause__):
                return True  # an empty object has no first byte
            raise
        return True

    async def _asked_for(self, key: str, options: GetOptions) -> GetResult:
        """The beginning of the store's answer, which one that hangs does not give."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await obstore.get_async(self._bucket, key, options=options)

    async def present(self, keys: list[str]) -> set[str]:
        """Those of the objects that are there."""
        turns = asyncio.Semaphore(_AT_ONCE)

        async def found(key: str) -> bool:
            async with turns:
                return await self.exists(key)

        answers = await asyncio.gather(*(found(key) for key in keys))
        return {key for key, is_there in zip(keys, answers, strict=True) if is_there}

    async def walk(self, prefix: str) -> AsyncIterator[BlobFacts]:
        """Every object in the folder ``prefix`` and below; what is no object of ours is left out."""
        found = obstore.list(self._bucket, check_prefix(prefix) or None, chunk_size=1000)
        with self._store_errors():
            async for batch in found:
                for meta in batch:
                    if is_key(meta["path"]):
                        yield BlobFacts(key=meta["path"], size_bytes=meta["size"], modified_at=meta["last_modified"])

    async def probe(self) -> None:
        """Write, read and delete a small object; raises ``ServiceUnavailable`` with the reason."""
        key, content = f"_probe/{secrets.token_hex(16)}", secrets.token_bytes(64)
        with self._store_errors():
            await obstore.put_async(self._bucket, key, content)
            if await self.get(key) != content:
                raise ServiceUnavailable(detail="The object store gave back other bytes than were written.")
            await obstore.delete_async(self._bucket, key)

    async def presigned_url(self, key: str, expires_seconds: int, *, method: ReadMethod = "GET") -> str:
        """The store's own link to the object, good for 1 second to 7 days. The method is part of what is signed.

        Raises ``ServiceUnavailable``.
        """
        if not 1 <= expires_seconds <= _LONGEST_LINK_SECONDS:
            raise ValueError(f"a presigned link lives 1 to {_LONGEST_LINK_SECONDS} seconds, not {expires_seconds}")
        with self._store_errors():
            return await obstore.sign_async(self._bucket, method, check_key(key), timedelta(seconds=expires_seconds))

    async def close(self) -> None:
        """Nothing to do: connections end when the store is dropped."""

    @contextmanager
    def _store_errors(self, key: str | None = None) -> Iterator[None]:
        """Turn the store's errors into ours. With a ``key`` its absence is ``FileNotFoundError``."""
        try:
            yield
        except TimeoutError as error:
            raise self._unavailable(TimeoutError(f"no answer in {_ANSWER_SECONDS:g} s")) from error
        except (BaseError, OSError) as error:
            if key is not None and isinstance(error, FileNotFoundError) and not _MISSING_BUCKET.search(str(error)):
                raise FileNotFoundError(errno.ENOENT, "no such object", key) from None
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> ServiceUnavailable:
        reason = _reason(str(error))
        for value in self._hidden:
            reason = reason.replace(value, "***")
        detail = f"The object store failed: {reason}."
        return ServiceUnavailable(detail=detail, retry_after_seconds=_RETRY_AFTER_SECONDS)


def _is_unsatisfiable(error: BaseException | None) -> bool:
    return error is not None and "416 Range Not Satisfiable" in str(error)


def _reason(text: str) -> str:
    """What happened, in a line: the status and the store's own words where it answered.

    Addresses lose their query, which can be a signature; the debugging tail that obstore appends is dropped.
    """
    status = re.search(r"status code: (\d{3}[A-Za-z -]*)", text)
    words = [re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("Code", "Message")]
    found = [match[1].strip() for match in (status, *words) if match]
    line = ": ".join(found) if found else " ".join(text.split("\n\nDebug source", 1)[0].split())
    return re.sub(r"(https?://)(?:[^/@\s]*@)?([^?\s]*)\?\S*", r"\1\2", line)[:300].rstrip(". ")
