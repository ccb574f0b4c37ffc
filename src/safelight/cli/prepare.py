"""What ``up`` does to the database before anything else runs, in a process of its own: Alembic is large."""

from __future__ import annotations

import asyncio

import msgspec

from safelight.cli.dashboard import make_link
from safelight.cli.database import is_pending, refusals_explained
from safelight.cli.first_start import FirstStart, prepare_first_start
from safelight.db.migrate import migrate
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError
from safelight.node.settings import Settings
from safelight.telemetry.recording import record_once
from safelight.telemetry.snapshots import metrics_folder


def run(settings: Settings, *, is_again: bool = False) -> None:
    """Migrate what is pending, make the default workspace and key, and print what was made as JSON."""
    if settings.database_url is None:
        raise ConfigurationError("There is no database. Set SAFELIGHT_DATABASE_URL.")
    with refusals_explained(settings):
        if is_pending(settings.database_url):
            migrate(settings.database_url)
        made = asyncio.run(_first_start(settings, settings.database_url))
    record_once(metrics_folder(settings))
    print(msgspec.json.encode(made).decode(), flush=True)


async def _first_start(settings: Settings, url: str) -> FirstStart:
    key_file = settings.data_dir / "api-key"
    has_key = key_file.exists()
    database = Database(url, pool_size=1)
    await database.open()
    try:
        made = await prepare_first_start(database, key_file, has_key=has_key)
        if settings.dashboard == "off":
            return made
        return msgspec.structs.replace(made, link=await make_link(settings, database))
    finally:
        await database.close()
