"""Books that are closed as they are verified, erasure in batches, indexes, and one count of a generation's tries.

Nodes go on meanwhile. First all is added, under locks that stand for a moment; then the indexes are built, under none
that a node waits for. A migration that was ended in between does again what is not done, when it is run again.
"""

import re
import time
from pathlib import Path
from typing import Any

import psycopg
from alembic import op
from psycopg.errors import LockNotAvailable

from safelight.domain.errors import ConfigurationError

revision = "0004"
down_revision = "0003"

_ADDED = ("0004_growth.sql", "0004_backends.sql")
_BUILT = ("0004_growth_indexes.sql",)

_TRIES = 60
_PAUSE_SECONDS = 1.0
_INDEX = re.compile(r"create index concurrently if not exists (\w+)")


def upgrade() -> None:
    """Run the SQL beside this file: each of the first files in a transaction, each statement of the others alone."""
    with op.get_context().autocommit_block():
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        for name in _ADDED:
            _add(connection, _sql(name))
        for name in _BUILT:
            for statement in _statements(_sql(name)):
                _build(connection, statement)


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


def _build(connection: psycopg.Connection[Any], statement: str) -> None:
    """An index whose building was ended is there, and is used by nobody: it is built anew."""
    if named := _INDEX.match(statement):
        half_built = "select from pg_index where indexrelid = to_regclass(%s) and not indisvalid"
        if connection.execute(half_built, [named[1]]).fetchone():
            connection.execute(f"drop index concurrently {named[1]}")
    connection.execute(statement)


def _statements(text: str) -> list[str]:
    without_comments = re.sub(r"--[^\n]*", "", text)
    return [statement for part in without_comments.split(";") if (statement := part.strip())]


def _sql(name: str) -> str:
    return Path(__file__).with_name(name).read_text()
