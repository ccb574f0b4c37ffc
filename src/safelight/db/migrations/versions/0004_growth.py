"""One count of the tries of a generation, over all of its runners.

Nodes go on meanwhile: the locks stand for a moment.
"""

import time
from pathlib import Path
from typing import Any

import psycopg
from alembic import op
from psycopg.errors import LockNotAvailable

from safelight.domain.errors import ConfigurationError

revision = "0004"
down_revision = "0003"

_ADDED = ("0004_backends.sql",)

_TRIES = 60
_PAUSE_SECONDS = 1.0


def upgrade() -> None:
    """Run the SQL beside this file: each of the files in a transaction."""
    with op.get_context().autocommit_block():
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        for name in _ADDED:
            _add(connection, _sql(name))


def _add(connection: psycopg.Connection[Any], text: str) -> None:
    """Give way to whoever holds a table for long: all who come after would wait behind this."""
    for _ in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute(text)
            return
        except LockNotAvailable:
            time.sleep(_PAUSE_SECONDS)
    raise ConfigurationError(
        "A table is in use by a transaction that does not end. "
        "Find it in pg_stat_activity, end it, and run 'safelight migrate' again."
    )


def _sql(name: str) -> str:
    return Path(__file__).with_name(name).read_text()
