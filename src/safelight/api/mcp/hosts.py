"""Whom a request may have been sent to, and from what page: else a page anywhere could reach a server on this machine
by a name of its own (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mcp.server.transport_security import TransportSecuritySettings

from safelight.node.settings import EVERY_ADDRESS, Settings

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def allowed(settings: Settings) -> TransportSecuritySettings:
    """The public address, and where it listens; on this machine by each of its names."""
    places = list(dict.fromkeys((*_spellings(settings.base_url), *_own(settings))))
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[host for _, host in places],
        allowed_origins=[f"{scheme}://{host}" for scheme, host in places],
    )


def _own(settings: Settings) -> Iterator[tuple[str, str]]:
    """Scheme and host of where it listens."""
    yield from _spellings(settings.address)
    if settings.host in EVERY_ADDRESS or urlsplit(settings.address).hostname in ("127.0.0.1", "::1", "localhost"):
        for name in _LOOPBACK:
            yield from _spellings(f"http://{name}:{settings.port}")


def _spellings(url: str) -> Iterator[tuple[str, str]]:
    """Scheme and host of a URL; a port that goes without saying with it and without."""
    parts = urlsplit(url)
    name = parts.netloc.rpartition("@")[2].lower()
    usual = _PORTS.get(parts.scheme)
    if parts.port in (None, usual):
        bare = name.removesuffix(f":{usual}")
        yield parts.scheme, bare
        yield parts.scheme, f"{bare}:{usual}"
    else:
        yield parts.scheme, name
