"""``safelight serve``: the API on Granian."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import structlog
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer
from starlette.types import ASGIApp

from safelight import __version__
from safelight.cli.api_life import ApiLife
from safelight.cli.checks import require, require_surroundings
from safelight.cli.database import database_url
from safelight.cli.metrics_address import metrics_beside
from safelight.cli.options import DataDir, Host, Port, Workers, as_environment, load_to_start
from safelight.cli.tcp_port import claim, listening_address
from safelight.domain.errors import ConfigurationError
from safelight.node.connections import make_room
from safelight.node.memory import give_large_buffers_back
from safelight.node.processes import end_with_parent
from safelight.node.service_manager import ServiceManager
from safelight.node.settings import Settings, load_settings
from safelight.telemetry.logs import configure_logging
from safelight.wiring import serving

log = structlog.get_logger()

_SILENCE_MILLISECONDS = 30_000  # for the head of a request, from the connection's start or the answer before
_BUFFER_BYTES = 64 * 1024  # of one connection each way: the longest head, and pieces of bodies
_BACKLOG = 4096  # connections that wait in the kernel to be accepted

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
    manager = ServiceManager.from_environment()
    settings = load_to_start(listens=True, data_dir=data_dir, host=host, port=port, workers=workers)
    with database_url(settings) as url:
        settings = msgspec.structs.replace(settings, database_url=url)
        os.environ.update(as_environment(settings))
        with metrics_beside(settings):
            run(settings, is_alone=True, manager=manager)


def run(
    settings: Settings, *, is_again: bool = False, is_alone: bool = False, manager: ServiceManager | None = None
) -> None:
    """Serve until a signal says stop. ``settings`` must be those of the environment.

    ``is_again``: it has run before, so what is around it may be away for a while. ``is_alone``: nobody else says where
    it listens. ``manager`` is told how it is.
    """
    configure_logging(settings)
    require(settings)
    serving.load_dialects(settings)
    if not is_again:
        require_surroundings(settings)
    address, _ = listening_address(settings)
    claimed = claim(settings)
    if is_alone:
        print(
            f"Safelight {__version__} listens on {settings.address}. {settings.base_url}/docs tells more.", flush=True
        )
    room = make_room()
    server = _Server(
        f"{__name__}:make_app",
        address=address,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        loop=Loops.uvloop,
        # Of other protocols there is no need, and of HTTP/2 the server would wait for the first byte for ever.
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=_SILENCE_MILLISECONDS, max_buffer_size=_BUFFER_BYTES),
        backlog=_BACKLOG,
        # Counted in each process, not shared out among them.
        backpressure=room.accepted,
        factory=True,
        log_dictconfig=_LOGGING,
        log_level=LogLevels(settings.log_level) if settings.log_level == "debug" else LogLevels.warning,
        respawn_failed_workers=True,
        respawn_interval=_START_SECONDS,
        workers_kill_timeout=max(1, settings.shutdown_seconds - 1),
    )
    server.life = ApiLife(manager or ServiceManager(), settings, server.process_numbers)
    # API processes are forks: what is imported by now is in memory once, as long as nothing touches it.
    gc.collect()
    gc.freeze()
    server.life.start()
    try:
        server.serve(target_loader=partial(make_app, server.life), wrap_loader=False)
    finally:
        claimed.path.unlink(missing_ok=True)
        claimed.release()


class _Server(MPServer):
    """Granian, whose API processes are replaced one by one at a hangup signal, unless they could not start."""

    life: ApiLife

    def process_numbers(self) -> list[int]:
        """Of the API processes that serve, without those that have been replaced."""
        return [worker.inner.pid for worker in list(self.wrks)]

    def _spawn_worker(self, *args: Any, **kwargs: Any) -> Any:
        """An API process that ends its runs before its requests: they wait for them."""
        worker: Any = super()._spawn_worker(*args, **kwargs)
        terminate = worker.terminate

        def end_runs_and_terminate() -> None:
            with suppress(ProcessLookupError):
                os.kill(worker.inner.pid, serving.STOPPING)
            terminate()

        worker.terminate = end_runs_and_terminate
        return worker

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """Take up a changed catalog and changed keys; what is wrong with them leaves things as they are."""
        self.life.manager.reloading()
        try:
            settings = load_settings()
            require(settings)
            serving.load_dialects(settings)
        except ConfigurationError as error:
            log.error("not reloaded", reason=error.message)
            self.life.manager.not_reloaded(error.message)
            return
        log.info("reloading")
        super().signal_handler_reload(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _reload(self, *args: Any, **kwargs: Any) -> None:
        super()._reload(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.life.await_ready()

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Stop."""
        self.life.manager.stopping()
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]


def make_app(life: ApiLife) -> ASGIApp:
    """The application of one API process."""
    life.beat()
    end_with_parent(os.getppid())
    gc.set_threshold(_GC_THRESHOLD)
    give_large_buffers_back()
    return serving.create_app()
