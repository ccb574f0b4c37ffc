"""Roles of keys, people and what they did, refused requests, what end users cost, the way a request came."""

from pathlib import Path

from alembic import op

from safelight.db.migration_steps import add, build

revision = "0007"
down_revision = "0006"

_ADDED = (
    "0007_people.sql",
    "0007_keys.sql",
    "0007_endpoints.sql",
    "0007_deliveries.sql",
    "0007_generations.sql",
    "0007_operator.sql",
)
_BUILT = ("0007_generations_indexes.sql",)


def upgrade() -> None:
    """Run the SQL beside this file: each of the first files in a transaction, each statement of the others alone."""
    with op.get_context().autocommit_block():
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        for name in _ADDED:
            add(connection, Path(__file__).with_name(name))
        for name in _BUILT:
            build(connection, Path(__file__).with_name(name))
