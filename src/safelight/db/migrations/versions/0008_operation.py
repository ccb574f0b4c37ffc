"""What running it on many machines, for years, needs on record."""

from pathlib import Path

from alembic import op

from safelight.db.migration_steps import add, build

revision = "0008"
down_revision = "0007"

_ADDED = (
    "0008_traces.sql",
    "0008_answers.sql",
    "0008_archive.sql",
    "0008_archive_transfers.sql",
    "0008_archive_generations.sql",
    "0008_archive_media.sql",
)
_BUILT = ("0008_archive_indexes.sql",)


def upgrade() -> None:
    """Run the SQL beside this file: each of the first files in a transaction, each statement of the others alone."""
    with op.get_context().autocommit_block():
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        for name in _ADDED:
            add(connection, Path(__file__).with_name(name))
        for name in _BUILT:
            build(connection, Path(__file__).with_name(name))
