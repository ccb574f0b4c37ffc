"""Where Prometheus is told how a node does, and the process beside a command that tells it.

What watches over other processes imports this, so it imports little.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from safelight.cli import fail
from safelight.cli.options import as_environment
from safelight.cli.supervisor import Child
from safelight.domain.errors import ConfigurationError
from safelight.node.data_folder import explained
from safelight.node.settings import Settings
from safelight.telemetry.snapshots import gatherer_lock, metrics_folder

_WATCH_SECONDS = 0.2


def make_listener() -> Child:
    """The process. Nobody's pictures wait for it: it is started again as often as it takes."""
    return Child("metrics", "metrics' listener", is_needed=False)


def check_metrics_address(settings: Settings) -> None:
    """Raise ``ConfigurationError`` where nobody can listen for Prometheus, and no process of this data folder does."""
    folder = metrics_folder(settings)
    if folder is not None:
        with explained(settings.data_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    look_at_metrics_address(settings)


def look_at_metrics_address(settings: Settings) -> str:
    """Where metrics are told, for people; it makes no folder. Raises as ``check_metrics_address``."""
    folder = metrics_folder(settings)
    if folder is None or settings.metrics is None:
        return "nowhere"
    with explained(settings.data_dir):
        lock = gatherer_lock(folder)
        try:
            if folder.is_dir() and not lock.acquire(wait=False):
                return f"{settings.metrics}, where a process of this data folder tells them"
            listening_socket(settings.metrics).close()
        finally:
            lock.release()
    return f"{settings.metrics} is free; nothing is told there"


@contextmanager
def metrics_beside(settings: Settings) -> Iterator[None]:
    """The listener beside a command that has no supervisor. Raises as ``check_metrics_address``."""
    if settings.metrics is None:
        yield
        return
    check_metrics_address(settings)
    child, environment, ended = make_listener(), as_environment(settings), threading.Event()

    def watch() -> None:
        child.start()
        child.go(environment)
        while not ended.wait(_WATCH_SECONDS):
            child.keep(environment, fail)
        child.end_now()

    # The kernel ends the child with the thread that started it.
    watching = threading.Thread(target=watch, name="metrics", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


def listening_socket(address: str) -> socket.socket:
    """A socket that listens there. Raises ``ConfigurationError``."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(64)
        except OSError:
            listening.close()
            raise
    except (socket.gaierror, UnicodeError, OverflowError):
        raise ConfigurationError(f"SAFELIGHT_METRICS: {address} is no address of this machine. Correct it.") from None
    except OSError as error:
        raise ConfigurationError(_explain(error, address)) from None
    return listening


def _explain(error: OSError, address: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"SAFELIGHT_METRICS: something listens on {address} already, and it is none of this data folder's. Stop "
            "it, or choose another port."
        )
    return f"SAFELIGHT_METRICS: cannot listen on {address}: {os.strerror(error.errno or 0)}. Choose another address."
