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

import msgspec
import structlog

from safelight.domain.errors import ContentPolicyViolation, MediaError, ServiceUnavailable, StoreFull
from safelight.domain.generations import GenerationType
from safelight.domain.media import EXTENSION_OF_MIME, MIME_OF_FORMAT, MediaFacts, MimeType
from safelight.domain.object_keys import media_key
from safelight.domain.outcomes import InlineBytes, LocalFile, Produced, RemoteFile
from safelight.domain.ports import Algorithmic, Backend, Provider
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.fetch import fetch
from safelight.lifecycle.pauses import STORE_PAUSE_SECONDS, Pauses
from safelight.lifecycle.services import RunServices
from safelight.lifecycle.settle import StoredFile
from safelight.lifecycle.workdir import Workdir
from safelight.media.blackout import is_blacked_out
from safelight.media.convert import convert_image
from safelight.media.measure import check_clip, measure
from safelight.media.pictures import read_png
from safelight.media.remux import strip_clip
from safelight.media.strip import strip_picture
from safelight.node.killpoints import killpoint

log = structlog.get_logger()

_BROKEN_FILES = 2
"""How often a file is fetched again that came whole and is no media: some servers cut one, or send a page, with 200."""
_FULL_STORES = 2
"""How often a full store is tried again: room comes back slowly, and is wanted for the next one."""
_MAX_BYTES = {GenerationType.IMAGE: 128 * 1024 * 1024, GenerationType.VIDEO: 4 * 1024 * 1024 * 1024}


class _Prepared(msgspec.Struct, frozen=True):
    path: Path
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
        prepared = await self._prepared(index, item)
        killpoint("deliver-after-measure")
        stored = await self._stored(index, prepared)
        killpoint("deliver-after-store")
        return stored

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
        """Put a file into the store. While that is away the file waits on this node's disk."""
        mime_type = file.facts.mime_type
        key = media_key(self.claim.id, index, self.claim.run_token, EXTENSION_OF_MIME[mime_type])
        pauses = Pauses(self.until, most_seconds=STORE_PAUSE_SECONDS)
        while True:
            try:
                await self.services.store.put(key, file.path, mime_type=mime_type, consume=True)
            except ServiceUnavailable as error:
                if isinstance(error, StoreFull) and pauses.count == _FULL_STORES:
                    raise
                log.warning("the media store is away; trying again", id=self.claim.id, reason=str(error))
                await pauses.next(error)
            else:
                facts = file.facts
                return StoredFile(index=index, key=key, size_bytes=file.size_bytes, sha256=file.sha256, facts=facts)


def _prepare(
    services: RunServices, claim: Claim, backend: Backend, index: int, item: LocalFile | InlineBytes, workdir: Workdir
) -> _Prepared:
    """All that needs the processor, in one go on one thread."""
    path = _materialize(item, workdir, f"inline-{index}")
    if claim.type is GenerationType.VIDEO:
        path, facts = _bare_clip(path, workdir, f"bare-{index}")
    else:
        path, facts = _bare_picture(claim, path, workdir, f"bare-{index}")
    if backend.flat_is_refusal and is_blacked_out(path):
        raise ContentPolicyViolation  # how some backends refuse: a picture with nothing on it
    path = _signed(services, claim, backend, path, facts.mime_type, workdir, f"signed-{index}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        size_bytes = file.tell()
    return _Prepared(path=path, facts=facts, size_bytes=size_bytes, sha256=digest.hexdigest())


def _bare_clip(path: Path, workdir: Workdir, name: str) -> tuple[Path, MediaFacts]:
    """With nothing of the backend's own in it. Its ends are decoded once, on the copy: its coded frames are the same."""
    check_clip(path)
    target = workdir.folder() / name
    strip_clip(path, target)
    workdir.drop(path)
    return target, measure(target)


def _bare_picture(claim: Claim, path: Path, workdir: Workdir, name: str) -> tuple[Path, MediaFacts]:
    """In the format that was ordered, and with nothing of the backend's own in it."""
    png = read_png(path)
    facts, wanted = measure(path, png), claim.spec.output_format
    if facts.mime_type == "video/mp4" or wanted is None:
        raise MediaError(f"The backend delivered {facts.mime_type} where an image was ordered.")
    is_as_ordered = facts.mime_type == MIME_OF_FORMAT[wanted]
    target = workdir.place(name, path.stat().st_size) if is_as_ordered else workdir.folder() / name
    if convert_image(path, target, wanted):
        return target, measure(target)
    return (target, facts) if strip_picture(path, target, facts.mime_type, png) else (path, facts)


def _materialize(item: LocalFile | InlineBytes, workdir: Workdir, name: str) -> Path:
    if isinstance(item, LocalFile):
        return item.path
    target = workdir.place(name, len(item.data))
    target.write_bytes(item.data)
    return target


def _signed(
    services: RunServices,
    claim: Claim,
    backend: Backend,
    source: Path,
    mime_type: MimeType,
    workdir: Workdir,
    name: str,
) -> Path:
    """The file with its provenance in it; as it is where the operator turned signing off."""
    if services.provenance is None:
        return source
    target = workdir.place(name, source.stat().st_size)
    services.provenance.sign(
        source,
        target,
        mime_type=mime_type,
        digital_source_type="algorithmicMedia" if _is_algorithmic(backend.provider) else "trainedAlgorithmicMedia",
        model=claim.model,
        generation_id=claim.id,
        created_at=datetime.now(UTC),
        prompt=claim.spec.prompt if services.tells_prompt else None,
    )
    workdir.drop(source)
    return target


def _is_algorithmic(provider: Provider) -> bool:
    return isinstance(provider, Algorithmic) and provider.is_algorithmic
