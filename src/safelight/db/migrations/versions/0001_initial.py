"""Workspaces, keys, money, generations, media; and the job queue's own tables."""

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL beside this file, then the queue's schema (that of the Procrastinate 3.10 line)."""
    # The driver's own connection takes several statements at once, and gives '%' no meaning.
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    connection.execute(Path(__file__).with_suffix(".sql").read_text())
    connection.execute(SchemaManager.get_schema())
