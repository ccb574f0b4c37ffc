"""How a migration goes about it while nodes go on: what it does beside the tables, in steps that may be done again."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.errors import LockNotAvailable

from safelight.domain.errors import ConfigurationError

_TRIES = 60
_PAUSE_SECONDS = 1.0
_INDEX = re.compile(r"create index concurrently if not exists (\w+)")


def add(connection: psycopg.Connection[Any], path: Path) -> None:
    """Run a file in a transaction, under locks that stand for a moment.

    Give way to whoever holds a table for long: all who come after would wait behind this.
    """
    for _ in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute(path.read_text())
            return
        except LockNotAvailable:
            time.sleep(_PAUSE_SECONDS)
    raise ConfigurationError(
        "A table is in use by a transaction that does not end. "
        "Find it in pg_stat_activity, end it, and run 'safelight migrate' again."
    )


def build(connection: psycopg.Connection[Any], path: Path) -> None:
    """Run each statement of a file alone, under no lock that a node waits for."""
    for statement in _statements(path.read_text()):
        _build(connection, statement)


def _build(connection: psycopg.Connection[Any], statement: str) -> None:
    """An index whose building was ended is there, and is used by nobody: it is built anew."""
    if named := _INDEX.match(statement):
        half_built = "select from pg_index where indexrelid = to_regclass(%s) and not indisvalid"
        if connection.execute(half_built, [named[1]]).fetchone() is not None:  # a row without columns is false
            connection.execute(f"drop index concurrently {named[1]}")
    connection.execute(statement)


def _statements(text: str) -> list[str]:
    without_comments = re.sub(r"--[^\n]*", "", text)
    return [statement for part in without_comments.split(";") if (statement := part.strip())]
