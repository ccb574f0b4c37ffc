"""Step three: from what a backend made to files in the store, measured and hashed.

What is announced later is what was measured here, on the very bytes that are kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import msgspec

from safelight.domain.errors import MediaError
from safelight.domain.media import EXTENSION_OF_MIME, MIME_OF_FORMAT, MediaFacts
from safelight.domain.orders import GenerationType
from safelight.domain.outcomes import InlineBytes, LocalFile, Produced, RemoteFile
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.keys import media_key
from safelight.lifecycle.services import Services
from safelight.lifecycle.settle import StoredFile
from safelight.media.convert import convert_image
from safelight.media.measure import measure


class _Prepared(msgspec.Struct, frozen=True):
    path: Path
    facts: MediaFacts
    size_bytes: int
    sha256: str


async def deliver(
    services: Services, claim: Claim, produced: tuple[Produced, ...], workdir: Path
) -> tuple[StoredFile, ...]:
    """Store what was produced. Raises ``MediaError`` if it is not the media that was ordered."""
    if not produced:
        raise MediaError("The backend reported success and delivered nothing.")
    return tuple([await _deliver_one(services, claim, i, item, workdir) for i, item in enumerate(produced)])


async def _deliver_one(services: Services, claim: Claim, index: int, item: Produced, workdir: Path) -> StoredFile:
    prepared = await asyncio.to_thread(_prepare, claim, index, item, workdir)
    key = media_key(claim.id, index, EXTENSION_OF_MIME[prepared.facts.mime_type])
    await services.store.put(key, prepared.path, mime_type=prepared.facts.mime_type, consume=True)
    return StoredFile(
        index=index, key=key, size_bytes=prepared.size_bytes, sha256=prepared.sha256, facts=prepared.facts
    )


def _prepare(claim: Claim, index: int, item: Produced, workdir: Path) -> _Prepared:
    """All that needs the processor, in one go on one thread."""
    path = _materialize(item, index, workdir)
    facts = measure(path)
    wanted = claim.spec.output_format
    if claim.type is GenerationType.VIDEO:
        if facts.mime_type != "video/mp4":
            raise MediaError(f"The backend delivered {facts.mime_type} where a video was ordered.")
    elif facts.mime_type == "video/mp4" or wanted is None:
        raise MediaError(f"The backend delivered {facts.mime_type} where an image was ordered.")
    elif facts.mime_type != MIME_OF_FORMAT[wanted]:
        target = workdir / f"converted-{index}"
        convert_image(path, target, wanted)
        path, facts = target, measure(target)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        size_bytes = file.tell()
    return _Prepared(path=path, facts=facts, size_bytes=size_bytes, sha256=digest.hexdigest())


def _materialize(item: Produced, index: int, workdir: Path) -> Path:
    match item:
        case LocalFile(path):
            return path
        case InlineBytes(data):
            path = workdir / f"inline-{index}"
            path.write_bytes(data)
            return path
        case RemoteFile():
            raise MediaError("This release fetches no media from other hosts.")
