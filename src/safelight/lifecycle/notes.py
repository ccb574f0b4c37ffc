"""After the end: files that are on record are noted for a web server that checks links and sends files by itself.

A runner that dies before has lost nothing: what has no note is sent by the API.
"""

from __future__ import annotations

import structlog

from safelight.domain.errors import ServiceUnavailable
from safelight.domain.ports import BlobStore, LinkNote, NotingStore
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.settle import Settled, StoredFile

log = structlog.get_logger()


async def note_files(store: BlobStore, claim: Claim, files: tuple[StoredFile, ...], settled: Settled) -> None:
    """Note the files of a generation that was settled just now; not those that are delivered once."""
    if not isinstance(store, NotingStore) or not settled.is_stored or settled.deletes_at is None:
        return
    notes = [
        LinkNote(
            generation_id=claim.id,
            index=file.index,
            workspace_id=claim.workspace_id,
            key=file.key,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            deletes_at_unix=int(settled.deletes_at.timestamp()),
        )
        for file in files
    ]
    try:
        await store.note_links(notes)
    except ServiceUnavailable as error:
        log.warning("files are not noted for the web server", id=claim.id, reason=str(error))
