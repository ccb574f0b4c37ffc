"""Bringing a database to the newest revision."""

from __future__ import annotations

from pathlib import Path

import psycopg

from safelight.domain.errors import ConfigurationError

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5AFE_1164  # any number that nobody else locks
_OLDEST_SUPPORTED = 150000


def newest_revision() -> str:
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def pending(url: str) -> bool:
    """Whether the database at ``url`` is behind. Raises ``ConfigurationError`` if it is ahead or too old."""
    with psycopg.connect(url) as connection:
        return _pending(connection)


def _pending(connection: psycopg.Connection) -> bool:
    if connection.info.server_version < _OLDEST_SUPPORTED:
        raise ConfigurationError(
            f"PostgreSQL {connection.info.server_version // 10000} is too old. Use version 15 or newer."
        )
    found = connection.execute("select to_regclass('alembic_version') is not null").fetchone()
    if not found or not found[0]:
        return True
    row = connection.execute("select max(version_num) from alembic_version").fetchone()
    current = row[0] if row else None
    if current is not None and current > newest_revision():
        raise ConfigurationError(
            f"The database is at revision {current}, newer than this release knows ({newest_revision()}). "
            "Start the release that wrote it, or a newer one."
        )
    return bool(current != newest_revision())


def migrate(url: str, revision: str = "head") -> None:
    """Apply what is pending up to ``revision``, one process at a time. Safe to call at every start."""
    # Alembic brings SQLAlchemy along: only the process that migrates pays for it.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    with psycopg.connect(url, autocommit=True) as guard:
        guard.execute("select pg_advisory_lock(%s)", [_LOCK])
        if not _pending(guard):
            return
        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
        engine.dispose()
