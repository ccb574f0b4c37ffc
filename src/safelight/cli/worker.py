"""``safelight worker``: the runner of videos and upkeep."""

from __future__ import annotations

import asyncio
import os
import signal

import msgspec
import structlog
import uvloop

from safelight import wiring
from safelight.cli.checks import require, require_surroundings
from safelight.cli.database import database_url
from safelight.cli.metrics_address import metrics_beside
from safelight.cli.options import DataDir, as_environment, load_to_start
from safelight.domain.errors import ConfigurationError
from safelight.node.service_manager import ServiceManager
from safelight.node.settings import Settings
from safelight.telemetry.logs import configure_logging
from safelight.telemetry.recording import recording
from safelight.telemetry.snapshots import metrics_folder

log = structlog.get_logger()


def worker(*, data_dir: DataDir = None) -> None:
    """Run one worker alone."""
    manager = ServiceManager.from_environment()
    settings = load_to_start(listens=False, data_dir=data_dir)
    with database_url(settings) as url:
        settings = msgspec.structs.replace(settings, database_url=url)
        os.environ.update(as_environment(settings))
        with metrics_beside(settings):
            run(settings, manager=manager)


def run(settings: Settings, *, is_again: bool = False, manager: ServiceManager | None = None) -> None:
    """Work until a signal says stop.

    ``is_again``: it has run before, so what is around it may be away for a while. ``manager`` is told how it is.
    """
    configure_logging(settings)
    require(settings)
    if not is_again:
        require_surroundings(settings)
    uvloop.run(_recorded(settings, manager or ServiceManager()))


async def _recorded(settings: Settings, manager: ServiceManager) -> None:
    """Work, and put on record what is counted meanwhile."""
    async with recording(metrics_folder(settings), "worker"):
        await _work(settings, manager)


async def _work(settings: Settings, manager: ServiceManager) -> None:
    """Work until asked to stop. A hangup signal takes up a changed catalog and changed keys."""
    loop = asyncio.get_running_loop()
    beating = loop.create_task(_beat(manager), name="service manager")
    is_over = False
    while not is_over:
        stop = asyncio.Event()

        def reload(stop: asyncio.Event = stop) -> None:
            manager.reloading()
            if _is_fit_to_reload(settings, manager):
                stop.set()

        def end(stop: asyncio.Event = stop) -> None:
            nonlocal is_over
            is_over = True
            manager.stopping()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        loop.add_signal_handler(signal.SIGHUP, reload)
        log.info("working")
        await wiring.run_worker(settings, stop, lambda: manager.ready("Working."))
    beating.cancel()


async def _beat(manager: ServiceManager) -> None:
    """Tell that the event loop turns."""
    while manager.watchdog_seconds is not None:
        manager.alive()
        await asyncio.sleep(manager.beat_seconds)


def _is_fit_to_reload(settings: Settings, manager: ServiceManager) -> bool:
    try:
        require(settings)
    except ConfigurationError as error:
        log.error("not reloaded", reason=error.message)
        manager.not_reloaded(error.message)
        return False
    log.info("reloading")
    return True
