"""Books that are closed as they are verified, erasure in batches, indexes, and one count of a generation's tries.

Nodes go on meanwhile. First all is added, under locks that stand for a moment; then the indexes are built, under none
that a node waits for. A migration that was ended in between does again what is not done, when it is run again.
"""

from pathlib import Path

from alembic import op

from safelight.db.migration_steps import add, build

revision = "0004"
down_revision = "0003"

_ADDED = ("0004_growth.sql", "0004_backends.sql")
_BUILT = ("0004_growth_indexes.sql",)


def upgrade() -> None:
    """Run the SQL beside this file: each of the first files in a transaction, each statement of the others alone."""
    with op.get_context().autocommit_block():
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        for name in _ADDED:
            add(connection, Path(__file__).with_name(name))
        for name in _BUILT:
            build(connection, Path(__file__).with_name(name))
