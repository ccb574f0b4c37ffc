"""What is kept, for the operator: how much, until when, and what should be gone."""

from __future__ import annotations

from datetime import datetime

import msgspec

from safelight.db.pool import Database
from safelight.domain.scope import OperatorScope

MOST_COUNTED = 100_000
"""Files that are counted, those due first: a page is to come at once, however much is kept."""
GRACE_SECONDS = 60
"""How long a file that is due may still be there: the upkeep looks every ten seconds."""


_MOST_SUMMED = 5000


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Files of one kind (``image``, ``video``) that are due at one time.

    ``due``: ``marked`` (being deleted), ``due`` (now), ``day``, ``week`` or ``later``.
    """

    kind: str
    due: str
    files: int
    size_bytes: int


class OverdueFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that should be gone. ``tombstoned_at``: when its deletion was begun last."""

    generation_id: str
    index: int
    workspace: str
    mime_type: str
    size_bytes: int
    deletes_at: datetime
    tombstoned_at: datetime | None
    overdue_seconds: float


async def count_files(operator: OperatorScope, db: Database) -> list[Kept]:
    """What is kept, of ``MOST_COUNTED`` files at most."""
    return await db.all("count_files", {"most": MOST_COUNTED}, Kept)


async def list_overdue_files(operator: OperatorScope, db: Database, *, most: int = 100) -> list[OverdueFile]:
    """Files that should be gone for ``GRACE_SECONDS`` and more, the longest first."""
    return await db.all("list_overdue_files", {"grace_seconds": GRACE_SECONDS, "most": most}, OverdueFile)


async def count_overdue_files(operator: OperatorScope, db: Database) -> int:
    """How many there are of these, of ``MOST_COUNTED`` at most."""
    params = {"grace_seconds": GRACE_SECONDS, "most": MOST_COUNTED}
    row = await db.one("count_overdue_files", params, tuple)
    return int(row[0]) if row else 0


async def stored_bytes(operator: OperatorScope, db: Database) -> int:
    """How much is kept; of more than ``_MOST_SUMMED`` files an estimate."""
    row = await db.one("estimate_stored", {"most": _MOST_SUMMED}, tuple)
    return int(row[0]) if row else 0
