"""``safelight sweep``: the upkeep of media, now instead of on schedule."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from safelight.cli.database import database_url, refusals_explained
from safelight.cli.numbers import whole
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import cell, print_json
from safelight.keeping.erase import continue_erasures
from safelight.keeping.expire import sweep as sweep_due
from safelight.keeping.orphans import sweep_orphans
from safelight.node.settings import Settings, load_settings
from safelight.telemetry.logs import configure_logging
from safelight.wiring import open_keeping

_MOST_DAYS = 3660


def sweep(
    *,
    days: Annotated[
        int, Parameter(help="How many days back to look for files that belong to nothing."), whole(0, _MOST_DAYS)
    ] = 2,
    older_than: Annotated[
        int, Parameter(help="Leave files alone that are younger than this, in minutes."), whole(0, _MOST_DAYS * 1440)
    ] = 60,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> int:
    """Delete what is due; look for files without a row, and rows without a file."""
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings)
    with database_url(settings) as url, refusals_explained(settings):
        result = asyncio.run(_sweep(settings, url, days, timedelta(minutes=older_than)))
    if as_json:
        print_json(result)
    else:
        print(f"{result['deleted']} files deleted on time, {result['removed']} that belonged to nothing removed.")
        for key in result["missing"]:
            print(f"MISSING from the store: {cell(key)}")
    return 1 if result["missing"] else 0


async def _sweep(settings: Settings, url: str, days: int, older_than: timedelta) -> dict[str, Any]:
    removed, missing = 0, list[str]()
    async with open_keeping(msgspec.structs.replace(settings, database_url=url)) as keeping:
        await continue_erasures(keeping, most_batches=None)
        deleted = await sweep_due(keeping)
        for offset in range(days):
            day = datetime.now(UTC) - timedelta(days=offset)
            found = await sweep_orphans(keeping, day=day, older_than=older_than)
            removed += found.removed
            missing += found.missing
    return {"deleted": deleted, "removed": removed, "missing": missing}
