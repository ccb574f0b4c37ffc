"""The process that tells Prometheus how its node does: ``SAFELIGHT_METRICS``.

It is a child of ``up``, and of ``serve`` and ``worker`` where they run alone. One of a data folder listens, and tells
of every process that uses the folder on this machine; others wait to take its place.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time

import structlog

from safelight.cli.cluster_gauges import ClusterGauges
from safelight.cli.metrics_address import listening_socket
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError
from safelight.node.data_folder import explained
from safelight.node.settings import Settings
from safelight.telemetry.exceptions import without_message
from safelight.telemetry.gathering import Gatherer, as_text
from safelight.telemetry.listener import Listener
from safelight.telemetry.logs import configure_logging
from safelight.telemetry.recording import EVERY_SECONDS
from safelight.telemetry.snapshots import metrics_folder

log = structlog.get_logger()

_FRESH_SECONDS = 0.5
_TRY_AGAIN_SECONDS = 1.0
_TRIES = 3
_NICE = 5
_GC_THRESHOLD = 50_000  # a page is many small things, and all of them go with it


def run(settings: Settings, *, is_again: bool = False) -> None:
    """Gather and tell until a signal says stop. ``is_again``: it ran before, so trouble with the address may pass."""
    configure_logging(settings)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the settings that it has are those of its parent
    os.nice(_NICE)
    gc.set_threshold(_GC_THRESHOLD)
    folder = metrics_folder(settings)
    assert folder is not None and settings.metrics is not None
    gatherer = Gatherer(folder)
    with explained(settings.data_dir):
        is_first = gatherer.acquire()
        if not is_first:
            log.info(
                "another process of this data folder tells the metrics of this one too", folder=str(settings.data_dir)
            )
        while not is_first:
            time.sleep(_TRY_AGAIN_SECONDS)
            is_first = gatherer.acquire()
    listening = _listening_in_time(settings.metrics, is_again=is_again)
    asyncio.run(_tell(settings, gatherer, listening))


async def _tell(settings: Settings, gatherer: Gatherer, listening: socket.socket) -> None:
    assert settings.database_url is not None
    db = Database(settings.database_url, pool_size=1, answers_soon=True)
    await db.open()
    cluster, node = ClusterGauges(db), _NodePage(gatherer)

    async def of_cluster() -> bytes:
        return as_text(await cluster.values())

    listener = Listener({"/metrics": node.text, "/metrics/cluster": of_cluster}, settings.metrics_token)
    log.info("metrics are told", address=settings.metrics)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.serve(listening))
        tasks.create_task(_look_forever(gatherer))


async def _look_forever(gatherer: Gatherer) -> None:
    while True:
        try:
            gatherer.look()
        except Exception as error:
            log.error("metrics of ended processes are not gathered", **without_message(error))
        await asyncio.sleep(EVERY_SECONDS)


class _NodePage:
    """The page of the node, made anew when it is older than a moment."""

    def __init__(self, gatherer: Gatherer) -> None:
        self._gatherer = gatherer
        self._text = b""
        self._made_at = float("-inf")

    async def text(self) -> bytes:
        if time.monotonic() - self._made_at > _FRESH_SECONDS:
            self._text, self._made_at = as_text(self._gatherer.values()), time.monotonic()
        return self._text


def _listening_in_time(address: str, *, is_again: bool) -> socket.socket:
    """The socket. One who listened before may take a moment to end, and, where this ran before, as long as it likes."""
    is_told, tries = False, 0
    while True:
        try:
            return listening_socket(address)
        except ConfigurationError as error:
            tries += 1
            if not is_again and tries == _TRIES:
                raise
            if is_again and not is_told:
                log.error("metrics are not told yet", reason=error.message)
                is_told = True
        time.sleep(_TRY_AGAIN_SECONDS)
