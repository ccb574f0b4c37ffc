"""Receipts of deletion: what was deleted and when, signed, and without a word of what was asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from safelight.domain.errors import NotFound
from safelight.domain.ids import is_generation_id
from safelight.keeping.services import KeepingServices


class DeletedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file. ``sha256`` is lower-case hex; ``deleted_at`` is when its absence was seen."""

    index: int
    mime_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    deletes_at: datetime
    deleted_at: datetime


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The statement, and the same signed (JWS); None where no certificate chain is configured."""

    id: str
    files: tuple[DeletedFile, ...]
    jws: str | None


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file on record, whether it is kept or gone. ``tombstoned_at``: when its deletion began."""

    generation_id: str
    index: int
    mime_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    deletes_at: datetime
    tombstoned_at: datetime | None
    deleted_at: datetime | None


async def list_files(services: KeepingServices, workspace_id: int, generation_id: str) -> list[FileRecord]:
    """What is on record of the files of a generation of this workspace; none where it made none, or is another's."""
    params = {"id": generation_id, "workspace_id": workspace_id}
    return await services.db.all("find_receipt", params, FileRecord) if is_generation_id(generation_id) else []


async def receipt(services: KeepingServices, workspace_id: int, generation_id: str) -> Receipt:
    """The receipt of a generation of this workspace. Raises ``NotFound`` while a file of it is still kept."""
    rows = await list_files(services, workspace_id, generation_id)
    if not rows:
        raise NotFound("There is no generation with media and this id in this workspace.")
    files = tuple(_file(row) for row in rows if row.deleted_at is not None)
    if len(files) < len(rows):
        due = max(row.deletes_at for row in rows).astimezone(UTC).isoformat(timespec="seconds")
        raise NotFound(f"There is no receipt yet: the media is kept until {due}.")
    statement = {"id": generation_id, "files": files}
    jws = services.statements.sign(statement) if services.statements else None
    return Receipt(id=generation_id, files=files, jws=jws)


def _file(row: FileRecord) -> DeletedFile:
    assert row.deleted_at is not None
    return DeletedFile(
        index=row.index,
        mime_type=row.mime_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at.astimezone(UTC),
        deletes_at=row.deletes_at.astimezone(UTC),
        deleted_at=row.deleted_at.astimezone(UTC),
    )
