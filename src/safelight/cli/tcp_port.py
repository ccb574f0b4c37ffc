"""Whether the port to listen on is free."""

from __future__ import annotations

import errno
import os
import socket

from safelight.domain.errors import ConfigurationError
from safelight.node.settings import Settings


def check_port(settings: Settings) -> None:
    """Raise ``ConfigurationError`` with the remedy unless the host and port can be listened on."""
    place = f"{settings.host}:{settings.port}"
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise ConfigurationError(f"The host {settings.host!r} is not known. Use an address of this machine.") from None
    except OSError as error:
        raise ConfigurationError(_explain(error, place)) from None


def _explain(error: OSError, place: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"The port is taken: something listens on {place}. Stop it, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"No permission to listen on {place}. Choose a port from 1024 upwards with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{place} is not an address of this machine. Choose another with --host."
    return f"Cannot listen on {place}: {os.strerror(error.errno or 0)}. Choose another with --host or --port."
