"""The address to listen on: whether it is free, who has it if not, and whether that is a server of ours."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

import msgspec

from safelight.domain.errors import ConfigurationError
from safelight.node.data_folder import FileLock, explained
from safelight.node.settings import Settings

_LISTENING = "0A"  # in /proc/net/tcp; source: Linux, include/net/tcp_states.h


def with_port(settings: Settings) -> Settings:
    """The settings with a port that is free where they leave it open (0). Raises as ``check_port`` does."""
    return settings if settings.port else msgspec.structs.replace(settings, port=check_port(settings))


def check_port(settings: Settings) -> int:
    """The port, that can be listened on; raises ``ConfigurationError`` with the remedy where it cannot."""
    return listening_address(settings)[1]


def listening_address(settings: Settings) -> tuple[str, int]:
    """The address by number, that the host's name stands for, and the port. Raises as ``check_port`` does."""
    place = settings.address.removeprefix("http://")
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return str(address[0]), int(probe.getsockname()[1])
    except (socket.gaierror, UnicodeError):
        raise ConfigurationError(f"The host {settings.host!r} is not known. Use an address of this machine.") from None
    except OSError as error:
        raise ConfigurationError(_explain(error, place, settings.port)) from None


def claim(settings: Settings) -> FileLock:
    """Tell those who look that a server of this data folder has the address. The end of the process ends it."""
    lock = _lock(settings)
    with explained(settings.data_dir):
        lock.acquire(shared=True)
    return lock


def is_ours(settings: Settings) -> bool:
    """Whether a server of this data folder has the address."""
    lock = _lock(settings)
    if not lock.path.exists():
        return False
    with explained(settings.data_dir):
        is_free = lock.acquire(wait=False)
        lock.release()
    return not is_free


def _lock(settings: Settings) -> FileLock:
    return FileLock(settings.data_dir / f"serve-{settings.port}.lock")


def _explain(error: OSError, place: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"The port is taken: {_listener(port)} listens on {place}. Stop it, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"No permission to listen on {place}. Choose a port from 1024 upwards with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{place} is not an address of this machine. Choose another with --host."
    return f"Cannot listen on {place}: {os.strerror(error.errno or 0)}. Choose another with --host or --port."


def _listener(port: int) -> str:
    """The process that listens on a port, as far as this system tells us."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        if sockets & _files_of(process):
            with suppress(OSError):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return "something"


def _files_of(process: Path) -> set[str]:
    """What its descriptors lead to; nothing where it ended, or is not ours to look at."""
    files = set()
    with suppress(OSError):
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                files.add(str(entry.readlink()))
    return files
