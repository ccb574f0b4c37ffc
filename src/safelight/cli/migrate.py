"""``safelight migrate``: the database's schema."""

from __future__ import annotations

import psycopg

from safelight.cli.database import is_pending, refusals_explained
from safelight.cli.options import DataDir
from safelight.db import migrate as revisions
from safelight.db.embedded import EmbeddedPostgres
from safelight.node.settings import load_settings


def migrate(*, data_dir: DataDir = None) -> None:
    """Bring the database to this release's revision, or make it. Safe to run again, and beside others."""
    settings = load_settings(data_dir=data_dir)
    with refusals_explained(settings):
        if settings.database_url:
            _migrate(settings.database_url)
            return
        with EmbeddedPostgres(settings.data_dir) as url:
            _migrate(url)


def _migrate(url: str) -> None:
    if is_pending(url):
        revisions.migrate(url)
        print(f"The database is now at revision {revisions.newest_revision()}.")
    else:
        with psycopg.connect(url) as connection:
            print(f"Nothing to do: the database is at revision {revisions.revision_of(connection)}.")
