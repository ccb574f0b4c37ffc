"""Bringing a database to the newest revision."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import psycopg

from safelight.domain.errors import ConfigurationError

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5AFE_1164  # any number that nobody else locks
_OLDEST_SUPPORTED = 150000


class Standing(Enum):
    """How a database stands to this release, which works on its own revision and on the one after it.

    So the migrations of a release can be rolled out before its processes are.
    """

    BEHIND = "behind"
    FITTING = "fitting"
    TOO_NEW = "too new"


def newest_revision() -> str:
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def standing(revision: str | None) -> Standing:
    """How a database at that revision stands; None is one without any."""
    if revision is None:
        return Standing.BEHIND
    if not revision.isdecimal():  # not one of ours: whoever wrote it knows what it needs
        return Standing.TOO_NEW
    ahead = int(revision) - int(newest_revision())
    if ahead < 0:
        return Standing.BEHIND
    return Standing.FITTING if ahead <= 1 else Standing.TOO_NEW


def too_new(revision: str | None) -> str:
    """What to say of a database that this release must not touch."""
    return (
        f"The database is at revision {revision}, more than one beyond what this release knows ({newest_revision()}). "
        "Start the release that wrote it, or a newer one."
    )


def pending(url: str) -> bool:
    """Whether the database at ``url`` is behind. Raises ``ConfigurationError`` if it, or its server, does not fit."""
    with psycopg.connect(url) as connection:
        return _pending(connection)


def revision_of(connection: psycopg.Connection) -> str | None:
    """The revision that a database is at; None before the first."""
    found = connection.execute("select to_regclass('alembic_version') is not null").fetchone()
    if not found or not found[0]:
        return None
    row = connection.execute("select max(version_num) from alembic_version").fetchone()
    return row[0] if row else None


def _pending(connection: psycopg.Connection) -> bool:
    if connection.info.server_version < _OLDEST_SUPPORTED:
        raise ConfigurationError(
            f"PostgreSQL {connection.info.server_version // 10000} is too old. Use version 15 or newer."
        )
    revision = revision_of(connection)
    if standing(revision) is Standing.TOO_NEW:
        raise ConfigurationError(too_new(revision))
    return standing(revision) is Standing.BEHIND


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
