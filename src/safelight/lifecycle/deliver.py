"""Step three: from what a backend made to files in the store: measured, converted, signed and hashed.

What is announced later is what was measured here, on the very media that is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeGuard

import msgspec
import structlog

from safelight.domain.errors import ContentPolicyViolation, MediaError, ServiceUnavailable, StoreFull
from safelight.domain.generations import GenerationType
from safelight.domain.media import EXTENSION_OF_MIME, MIME_OF_FORMAT, MediaFacts, MimeType
from safelight.domain.object_keys import media_key
from safelight.domain.outcomes import InlineBytes, LocalFile, Produced, RemoteFile
from safelight.domain.ports import Algorithmic, Backend, MakingStore, Provider
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.fetch import fetch
from safelight.lifecycle.pauses import STORE_PAUSE_SECONDS, Pauses
from safelight.lifecycle.services import RunServices
from safelight.lifecycle.settle import StoredFile
from safelight.lifecycle.workdir import Workdir
from safelight.media.blackout import is_blacked_out
from safelight.media.convert import convert_image
from safelight.media.measure import measure, measure_picture
from safelight.media.pictures import PngFacts
from safelight.media.provenance import Provenance
from safelight.media.remux import strip_clip
from safelight.media.sniff import sniff
from safelight.media.strip import strip_picture
from safelight.node.killpoints import killpoint

log = structlog.get_logger()

_BROKEN_FILES = 2
"""How often a file is fetched again that came whole and is no media: some servers cut one, or send a page, with 200."""
_FULL_STORES = 2
"""How often a full store is tried again: room comes back slowly, and is wanted for the next one."""
_SMALL_BYTES = 1024 * 1024
"""Pictures up to this size are prepared where they are stored: larger ones would hold up what others store."""
_MAX_BYTES = {GenerationType.IMAGE: 128 * 1024 * 1024, GenerationType.VIDEO: 4 * 1024 * 1024 * 1024}


class _Prepared(msgspec.Struct, frozen=True):
    """``content``: the whole of it, or where it lies."""

    content: bytes | Path
    facts: MediaFacts
    size_bytes: int
    sha256: str


Again = Callable[[], Awaitable[tuple[Produced, ...] | None]]
"""Asks the backend once more for what it made; its addresses may be fresh ones. None: it cannot be asked."""


async def deliver(
    services: RunServices,
    claim: Claim,
    backend: Backend,
    produced: tuple[Produced, ...],
    workdir: Workdir,
    *,
    until: float,
    again: Again,
) -> tuple[StoredFile, ...]:
    """Store what ``backend`` produced, trying until a time of the monotonic clock: it was paid for.

    Raises ``MediaError`` if it is not the media that was ordered, ``ContentPolicyViolation`` if it is a refusal, and
    ``ServiceUnavailable`` if the store stays away.
    """
    if not produced:
        raise ContentPolicyViolation  # how some backends refuse: success, and nothing in it
    delivery = _Delivery(services, claim, backend, workdir, until, again)
    return tuple([await delivery.of(index, item) for index, item in enumerate(produced)])


class _Delivery(msgspec.Struct, frozen=True):
    services: RunServices
    claim: Claim
    backend: Backend
    workdir: Workdir
    until: float
    again: Again

    async def of(self, index: int, item: Produced) -> StoredFile:
        store, wanted = self.services.store, self.claim.spec.output_format
        if wanted and _is_small(item) and isinstance(store, MakingStore):
            stored = await self._stored_at_once(store, index, item, MIME_OF_FORMAT[wanted])
        else:
            prepared = await self._prepared(index, item)
            killpoint("deliver-after-measure")
            stored = await self._stored(index, prepared)
        killpoint("deliver-after-store")
        return stored

    async def _stored_at_once(
        self, store: MakingStore, index: int, item: InlineBytes, mime_type: MimeType
    ) -> StoredFile:
        """A small picture, prepared and stored on one thread. While the store is away it waits as others do."""
        prepared: _Prepared | None = None

        def make() -> bytes | Path:
            nonlocal prepared
            prepared = _prepare(self.services, self.claim, self.backend, index, item, self.workdir)
            killpoint("deliver-after-measure")
            return prepared.content

        try:
            await store.put_made(self._key(index, mime_type), make)
        except ServiceUnavailable:
            return await self._stored(index, prepared or await self._prepared(index, item))
        assert prepared is not None
        return self._as_stored(index, prepared)

    async def _prepared(self, index: int, item: Produced) -> _Prepared:
        """The file as it is to be stored. One that came over the network broken is fetched once or twice more."""
        loop, pauses = asyncio.get_running_loop(), Pauses(self.until)
        while True:
            file = await self._fetched(index, item) if isinstance(item, RemoteFile) else item
            work = partial(_prepare, self.services, self.claim, self.backend, index, file, self.workdir)
            try:
                return await loop.run_in_executor(self.services.media_threads, work)
            except MediaError as error:
                if not isinstance(item, RemoteFile) or pauses.count == _BROKEN_FILES:
                    raise
                log.warning("the backend's file is broken; fetching it again", id=self.claim.id, reason=error.message)
                await pauses.next(error)

    async def _fetched(self, index: int, item: RemoteFile) -> LocalFile:
        async def fresh() -> RemoteFile | None:
            produced = await self.again()
            found = produced[index] if produced and index < len(produced) else None
            return found if isinstance(found, RemoteFile) else None

        target = self.workdir.folder() / f"fetched-{index}"
        target.unlink(missing_ok=True)
        max_bytes = _MAX_BYTES[self.claim.type]
        pauses, kind = Pauses(self.until), self.backend.kind
        await fetch(item, target, max_bytes=max_bytes, pauses=pauses, fresh=fresh, kind=kind)
        return LocalFile(target)

    async def _stored(self, index: int, file: _Prepared) -> StoredFile:
        """Put a file into the store. While that is away the file waits here; on this node's disk if it is large."""
        mime_type = file.facts.mime_type
        key = self._key(index, mime_type)
        pauses = Pauses(self.until, most_seconds=STORE_PAUSE_SECONDS)
        while True:
            try:
                await self.services.store.put(key, file.content, mime_type=mime_type, consume=True)
            except ServiceUnavailable as error:
                if isinstance(error, StoreFull) and pauses.count == _FULL_STORES:
                    raise
                log.warning("the media store is away; trying again", id=self.claim.id, reason=str(error))
                await pauses.next(error)
            else:
                return self._as_stored(index, file)

    def _key(self, index: int, mime_type: MimeType) -> str:
        return media_key(self.claim.id, index, self.claim.run_token, EXTENSION_OF_MIME[mime_type])

    def _as_stored(self, index: int, file: _Prepared) -> StoredFile:
        return StoredFile(
            index=index,
            key=self._key(index, file.facts.mime_type),
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            facts=file.facts,
        )


def _is_small(item: Produced) -> TypeGuard[InlineBytes]:
    return isinstance(item, InlineBytes) and len(item.data) <= _SMALL_BYTES


def _prepare(
    services: RunServices, claim: Claim, backend: Backend, index: int, item: LocalFile | InlineBytes, workdir: Workdir
) -> _Prepared:
    """All that needs the processor, in one go on one thread: pictures in memory, videos on the disk."""
    if claim.type is GenerationType.VIDEO:
        return _prepared_clip(services, claim, backend, index, item, workdir)
    return _prepared_picture(services, claim, backend, index, item, workdir)


def _prepared_picture(
    services: RunServices, claim: Claim, backend: Backend, index: int, item: LocalFile | InlineBytes, workdir: Workdir
) -> _Prepared:
    data, facts = _bare_picture(claim, item.data if isinstance(item, InlineBytes) else item.path.read_bytes())
    if backend.flat_is_refusal and is_blacked_out(data):
        raise ContentPolicyViolation  # how some backends refuse: a picture with nothing on it
    if services.provenance is not None:
        data = services.provenance.sign(data, _provenance(services, claim, backend, facts.mime_type))
    content = workdir.keep(f"signed-{index}", data)
    return _Prepared(content, facts, len(data), hashlib.sha256(data).hexdigest())


def _prepared_clip(
    services: RunServices, claim: Claim, backend: Backend, index: int, item: LocalFile | InlineBytes, workdir: Workdir
) -> _Prepared:
    path = _materialize(item, workdir, f"inline-{index}")
    path, facts = _bare_clip(path, workdir, f"bare-{index}")
    if backend.flat_is_refusal and is_blacked_out(path):
        raise ContentPolicyViolation  # likewise
    if services.provenance is not None:
        source, path = path, workdir.place(f"signed-{index}", path.stat().st_size)
        services.provenance.sign_file(source, path, _provenance(services, claim, backend, facts.mime_type))
        workdir.drop(source)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        size_bytes = file.tell()
    return _Prepared(path, facts, size_bytes, digest.hexdigest())


def _bare_clip(path: Path, workdir: Workdir, name: str) -> tuple[Path, MediaFacts]:
    facts = measure(path)
    if facts.mime_type != "video/mp4":
        raise MediaError(f"The backend delivered {facts.mime_type} where a video was ordered.")
    target = workdir.folder() / name
    strip_clip(path, target)
    workdir.drop(path)
    return target, measure(target)


def _bare_picture(claim: Claim, data: bytes) -> tuple[bytes, MediaFacts]:
    """In the format that was ordered, and with nothing of the backend's own in it."""
    mime_type, wanted = sniff(data), claim.spec.output_format
    if mime_type == "video/mp4" or wanted is None:
        raise MediaError(f"The backend delivered {mime_type} where an image was ordered.")
    png = PngFacts(data) if mime_type == "image/png" else None
    facts = measure_picture(data, png)
    converted = convert_image(data, wanted)
    if converted is not None:
        return converted, measure_picture(converted)
    return strip_picture(data, facts.mime_type, png), facts


def _materialize(item: LocalFile | InlineBytes, workdir: Workdir, name: str) -> Path:
    if isinstance(item, LocalFile):
        return item.path
    target = workdir.place(name, len(item.data))
    target.write_bytes(item.data)
    return target


def _provenance(services: RunServices, claim: Claim, backend: Backend, mime_type: MimeType) -> Provenance:
    return Provenance(
        mime_type=mime_type,
        digital_source_type="algorithmicMedia" if _is_algorithmic(backend.provider) else "trainedAlgorithmicMedia",
        model=claim.model,
        generation_id=claim.id,
        created_at=datetime.now(UTC),
        prompt=claim.spec.prompt if services.tells_prompt else None,
    )


def _is_algorithmic(provider: Provider) -> bool:
    return isinstance(provider, Algorithmic) and provider.is_algorithmic
