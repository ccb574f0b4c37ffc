"""Step three: from what a backend made to files in the store: measured, converted, signed and hashed.

What is announced later is what was measured here, on the very media that is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from safelight.domain.errors import ContentPolicyViolation, MediaError, ServiceUnavailable
from safelight.domain.generations import GenerationType
from safelight.domain.media import EXTENSION_OF_MIME, MediaFacts, MimeType
from safelight.domain.object_keys import media_key
from safelight.domain.outcomes import InlineBytes, LocalFile, Produced, RemoteFile
from safelight.domain.ports import Algorithmic, Provider
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.services import RunServices
from safelight.lifecycle.settle import StoredFile
from safelight.media.blackout import is_blacked_out
from safelight.media.convert import convert_image
from safelight.media.measure import measure
from safelight.node.killpoints import killpoint
from safelight.outbound.client import GuardedClient
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import OutboundRefused

log = structlog.get_logger()

# How long a store that is away is waited for: nobody waits for a video, and it was paid for.
_STORE_PAUSES_SECONDS = {GenerationType.IMAGE: (0.2, 1.0), GenerationType.VIDEO: (0.2, 1.0, 3.0, 10.0, 20.0)}
_FETCH_SECONDS = 600.0
_MAX_BYTES = {GenerationType.IMAGE: 128 * 1024 * 1024, GenerationType.VIDEO: 4 * 1024 * 1024 * 1024}


class _Prepared(msgspec.Struct, frozen=True):
    path: Path
    facts: MediaFacts
    size_bytes: int
    sha256: str


async def deliver(
    services: RunServices, claim: Claim, provider: Provider, produced: tuple[Produced, ...], workdir: Path
) -> tuple[StoredFile, ...]:
    """Store what ``provider`` produced.

    Raises ``MediaError`` if it is not the media that was ordered, and ``ContentPolicyViolation`` if it is a refusal.
    """
    if not produced:
        raise ContentPolicyViolation  # how some backends refuse: success, and nothing in it
    return tuple([await _deliver_one(services, claim, provider, i, item, workdir) for i, item in enumerate(produced)])


async def _deliver_one(
    services: RunServices, claim: Claim, provider: Provider, index: int, item: Produced, workdir: Path
) -> StoredFile:
    fetched = await _fetch(item, claim, workdir / f"fetched-{index}") if isinstance(item, RemoteFile) else item
    prepared = await asyncio.get_running_loop().run_in_executor(
        services.media_threads, lambda: _prepare(services, claim, provider, index, fetched, workdir)
    )
    killpoint("deliver-after-measure")
    mime_type = prepared.facts.mime_type
    key = media_key(claim.id, index, claim.run_token, EXTENSION_OF_MIME[mime_type])
    await _put(services, claim, key, prepared.path, mime_type)
    killpoint("deliver-after-store")
    return StoredFile(
        index=index, key=key, size_bytes=prepared.size_bytes, sha256=prepared.sha256, facts=prepared.facts
    )


async def _put(services: RunServices, claim: Claim, key: str, path: Path, mime_type: MimeType) -> None:
    """A store that hiccups is asked again; one that stays away fails the generation."""
    for pause in _STORE_PAUSES_SECONDS[claim.type]:
        try:
            await services.store.put(key, path, mime_type=mime_type, consume=True)
        except ServiceUnavailable as error:
            log.warning("the media store is away; trying again", seconds=pause, reason=error.message)
            await asyncio.sleep(pause)
        else:
            return
    await services.store.put(key, path, mime_type=mime_type, consume=True)


async def _fetch(item: RemoteFile, claim: Claim, target: Path) -> LocalFile:
    """Bring media from where the backend put it: an address that is not to be trusted."""
    client = GuardedClient(OutboundPolicy.parse(item.allow, setting="the provider's addresses"))
    try:
        async with client.stream(
            item.url,
            max_bytes=_MAX_BYTES[claim.type],
            deadline_seconds=_FETCH_SECONDS,
            headers=item.headers,
        ) as answer:
            if answer.status != 200:
                raise MediaError(f"The backend's file could not be fetched: HTTP {answer.status}.")
            with await asyncio.to_thread(target.open, "wb") as file:
                async for chunk in answer.chunks():
                    await asyncio.to_thread(file.write, chunk)
    except OutboundRefused as error:
        raise MediaError(f"The backend's file could not be fetched: {error}.") from error
    finally:
        await client.close()
    return LocalFile(target)


def _prepare(
    services: RunServices, claim: Claim, provider: Provider, index: int, item: LocalFile | InlineBytes, workdir: Path
) -> _Prepared:
    """All that needs the processor, in one go on one thread."""
    path = _materialize(item, workdir / f"inline-{index}")
    facts = measure(path)
    wanted = claim.spec.output_format
    if claim.type is GenerationType.VIDEO and facts.mime_type != "video/mp4":
        raise MediaError(f"The backend delivered {facts.mime_type} where a video was ordered.")
    if claim.type is GenerationType.IMAGE:
        if facts.mime_type == "video/mp4" or wanted is None:
            raise MediaError(f"The backend delivered {facts.mime_type} where an image was ordered.")
        target = workdir / f"converted-{index}"
        if convert_image(path, target, wanted):
            path, facts = target, measure(target)
    if not _is_algorithmic(provider) and is_blacked_out(path):
        raise ContentPolicyViolation  # how other backends refuse: a picture with nothing on it
    path = _signed(services, claim, provider, path, facts.mime_type, workdir / f"signed-{index}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        size_bytes = file.tell()
    return _Prepared(path=path, facts=facts, size_bytes=size_bytes, sha256=digest.hexdigest())


def _materialize(item: LocalFile | InlineBytes, target: Path) -> Path:
    if isinstance(item, LocalFile):
        return item.path
    target.write_bytes(item.data)
    return target


def _signed(
    services: RunServices, claim: Claim, provider: Provider, source: Path, mime_type: MimeType, target: Path
) -> Path:
    """The file with its provenance in it; as it is where the operator turned signing off."""
    if services.provenance is None:
        return source
    services.provenance.sign(
        source,
        target,
        mime_type=mime_type,
        digital_source_type="algorithmicMedia" if _is_algorithmic(provider) else "trainedAlgorithmicMedia",
        model=claim.model,
        generation_id=claim.id,
        created_at=datetime.now(UTC),
        prompt=claim.spec.prompt if services.tells_prompt else None,
    )
    source.unlink()  # a work folder that is empty at the end costs nothing to take away
    return target


def _is_algorithmic(provider: Provider) -> bool:
    return isinstance(provider, Algorithmic) and provider.is_algorithmic
