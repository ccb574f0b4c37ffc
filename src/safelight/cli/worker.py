"""``safelight worker``: the runner of videos and upkeep."""

from __future__ import annotations

import asyncio
import os
import signal

import msgspec
import uvloop

from safelight import wiring
from safelight.cli.database import database_url
from safelight.cli.options import DataDir, as_environment
from safelight.cli.signing_keys import ensure_signing_keys
from safelight.config import Settings, load_settings
from safelight.logs import configure_logging


def worker(*, data_dir: DataDir = None) -> None:
    """Run one worker alone."""
    settings = load_settings(data_dir=data_dir)
    with database_url(settings) as url:
        settings = msgspec.structs.replace(settings, database_url=url)
        os.environ.update(as_environment(settings))
        run(settings)


def run(settings: Settings) -> None:
    """Work until a signal says stop."""
    configure_logging(settings)
    ensure_signing_keys(settings)
    uvloop.run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await wiring.run_worker(settings, stop)
