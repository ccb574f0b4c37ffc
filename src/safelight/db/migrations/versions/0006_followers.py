"""Events in their order for those who follow them, the end user a generation is for, and what it was made from."""

from pathlib import Path

from alembic import op

from safelight.db.migration_steps import add

revision = "0006"
down_revision = "0005"

_ADDED = ("0006_workspaces.sql", "0006_generations.sql", "0006_followers.sql")


def upgrade() -> None:
    """Run the SQL beside this file, each in a transaction of its own that may be run again."""
    with op.get_context().autocommit_block():
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        for name in _ADDED:
            add(connection, Path(__file__).with_name(name))
