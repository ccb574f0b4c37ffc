"""Backends by name, what they said, what was used by day, and what was refused.

Nodes go on meanwhile. First all is added, under locks that stand for a moment; then the past is counted, under none
that a node waits for. A migration that was ended in between goes on there when it is run again.
"""

import time
from pathlib import Path
from typing import Any

import psycopg
from alembic import op
from psycopg.errors import LockNotAvailable

from safelight.domain.errors import ConfigurationError

revision = "0003"
down_revision = "0002"

_TRIES = 60
_PAUSE_SECONDS = 1.0


def upgrade() -> None:
    """Run the SQL beside this file, in two transactions."""
    with op.get_context().autocommit_block():
        connection = _driver_connection()
        if connection.execute("select to_regclass('daily_usage') is null").fetchone() == (True,):
            _add(connection)
    _driver_connection().execute(_sql("0003_by_name_past.sql"))


def _add(connection: psycopg.Connection[Any]) -> None:
    """Give way to whoever holds a table for long: all who come after would wait behind this."""
    for _ in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute(_sql("0003_by_name.sql"))
            return
        except LockNotAvailable:
            time.sleep(_PAUSE_SECONDS)
    raise ConfigurationError(
        "The table generations is in use by a transaction that does not end. "
        "Find it in pg_stat_activity, end it, and run 'safelight migrate' again."
    )


def _driver_connection() -> psycopg.Connection[Any]:
    connection: psycopg.Connection[Any] | None = op.get_bind().connection.driver_connection
    assert connection is not None
    return connection


def _sql(name: str) -> str:
    return Path(__file__).with_name(name).read_text()
