"""The host to listen on, as people write it: a name, or an address in any of its spellings."""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address

from safelight.domain.errors import ConfigurationError

_NAME = re.compile(r"[\w.-]{1,253}(%[\w.-]{1,64})?|[0-9a-fA-F:.]{2,45}%[\w.-]{1,64}")


def read_host(text: str, where: str) -> str:
    """An address in its usual spelling (``0`` and ``*`` are ``0.0.0.0``), or a name as it is.

    Asks no network. Raises ``ConfigurationError`` for what is neither, and for an address of many machines.
    """
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text
    try:
        flags = socket.AI_NUMERICHOST | socket.AI_PASSIVE
        found = socket.getaddrinfo(inner, 0, type=socket.SOCK_STREAM, flags=flags)
        address = str(found[0][4][0])
    except (OSError, ValueError):  # a name, or no host at all
        if _NAME.fullmatch(inner):
            return inner
        raise ConfigurationError(
            f"{where}: {text!r} is no host. Write an address of this machine, such as 127.0.0.1, 0.0.0.0 or ::1."
        ) from None
    plain = ip_address(address.partition("%")[0])
    if plain.is_multicast or str(plain) == "255.255.255.255":
        raise ConfigurationError(f"{where}: {text} is an address of many machines. Write one of this machine.")
    return address
