"""Backends by name, what they said, what was used by day, and what was refused.

Nodes go on meanwhile. First all is added, under locks that stand for a moment; then the past is counted, under none
that a node waits for. A migration that was ended in between goes on there when it is run again.
"""

from pathlib import Path
from typing import Any

import psycopg
from alembic import op

from safelight.db.migration_steps import add

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the SQL beside this file, in two transactions."""
    with op.get_context().autocommit_block():
        connection = _driver_connection()
        if connection.execute("select to_regclass('daily_usage') is null").fetchone() == (True,):
            add(connection, Path(__file__).with_suffix(".sql"))
    _driver_connection().execute(Path(__file__).with_name("0003_by_name_past.sql").read_text())


def _driver_connection() -> psycopg.Connection[Any]:
    connection: psycopg.Connection[Any] | None = op.get_bind().connection.driver_connection
    assert connection is not None
    return connection
