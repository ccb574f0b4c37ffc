"""What the keeping of files needs: made once in ``safelight.wiring``."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import msgspec

from safelight.db.pool import Database
from safelight.domain.ports import BlobStore
from safelight.domain.signing import LinkSigner
from safelight.keeping.files import RecentFiles
from safelight.media.jws import StatementSigner


class KeepingServices(msgspec.Struct, frozen=True, kw_only=True):
    """One process's parts. ``statements`` signs receipts; None where there is no certificate chain.

    ``retention_seconds``: how long the prompts of generations that made nothing are kept.
    ``archive_after_seconds``: how long what has ended stays in the tables; None: for ever.
    """

    db: Database
    store: BlobStore
    signer: LinkSigner
    statements: StatementSigner | None
    retention_seconds: int
    work_dir: Path
    media_threads: Executor
    archive_after_seconds: int | None = None
    recent_files: RecentFiles = msgspec.field(default_factory=RecentFiles)
