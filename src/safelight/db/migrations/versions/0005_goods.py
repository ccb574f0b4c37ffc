"""What backends charge, what is lost on them, the seed that was used, and where a job stands at its backend."""

from pathlib import Path

from alembic import op

from safelight.db.migration_steps import add

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the SQL beside this file, in a transaction of its own that may be run again."""
    with op.get_context().autocommit_block():
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        add(connection, Path(__file__).with_suffix(".sql"))
