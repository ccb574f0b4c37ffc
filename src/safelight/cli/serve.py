"""``safelight serve``: the API on Granian."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server import MPServer
from starlette.types import ASGIApp

from safelight import wiring
from safelight.cli.database import database_url
from safelight.cli.options import DataDir, Host, Port, Workers, as_environment
from safelight.cli.signing_key_file import ensure_signing_keys
from safelight.cli.tcp_port import check_port
from safelight.domain.errors import ConfigurationError
from safelight.node.processes import end_with_parent
from safelight.node.settings import Settings, load_settings
from safelight.telemetry.logs import configure_logging

log = structlog.get_logger()

_START_SECONDS = 6.0  # at a reload an old API process serves this long beside the one that replaces it

# New objects until garbage in cycles is looked for. Requests leave next to none, and a look takes milliseconds.
_GC_THRESHOLD = 10_000

# Granian's own handlers away: its lines go where all others go.
_LOGGING: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {
        "_granian": {"handlers": [], "level": "INFO", "propagate": True},
        "granian.access": {"handlers": [], "level": "INFO", "propagate": True},
    },
}


def serve(*, host: Host = None, port: Port = None, workers: Workers = None, data_dir: DataDir = None) -> None:
    """Run the API alone."""
    settings = load_settings(data_dir=data_dir, host=host, port=port, workers=workers)
    with database_url(settings) as url:
        settings = msgspec.structs.replace(settings, database_url=url)
        os.environ.update(as_environment(settings))
        run(settings)


def run(settings: Settings) -> None:
    """Serve until a signal says stop. ``settings`` must be those of the environment."""
    configure_logging(settings)
    check(settings)
    check_port(settings)
    server = _Server(
        f"{__name__}:make_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        loop=Loops.uvloop,
        websockets=False,
        factory=True,
        log_dictconfig=_LOGGING,
        log_level=LogLevels(settings.log_level) if settings.log_level == "debug" else LogLevels.warning,
        respawn_failed_workers=True,
        respawn_interval=_START_SECONDS,
        workers_kill_timeout=max(1, settings.shutdown_seconds - 1),
    )
    # API processes are forks: what is imported by now is in memory once, as long as nothing touches it.
    gc.collect()
    gc.freeze()
    server.serve()


class _Server(MPServer):
    """Granian, whose API processes are replaced one by one at a hangup signal, unless they could not start."""

    def _spawn_worker(self, *args: Any, **kwargs: Any) -> Any:
        """An API process that ends its runs before its requests: they wait for them."""
        worker: Any = super()._spawn_worker(*args, **kwargs)
        terminate = worker.terminate

        def end_runs_and_terminate() -> None:
            with suppress(ProcessLookupError):
                os.kill(worker.inner.pid, wiring.STOPPING)
            terminate()

        worker.terminate = end_runs_and_terminate
        return worker

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """Take up a changed catalog and changed keys; what is wrong with them leaves things as they are."""
        try:
            check(load_settings())
        except ConfigurationError as error:
            log.error("not reloaded", reason=error.message)
            return
        log.info("reloading")
        super().signal_handler_reload(*args, **kwargs)  # type: ignore[no-untyped-call]


def check(settings: Settings) -> None:
    """Find what an API process would stumble over. Raises ``ConfigurationError``."""
    wiring.load_catalog(settings)
    ensure_signing_keys(settings)
    wiring.open_media_store(settings)
    wiring.check_provenance(settings)


def make_app() -> ASGIApp:
    """The application of one API process."""
    end_with_parent(os.getppid())
    gc.set_threshold(_GC_THRESHOLD)
    return wiring.create_app()
