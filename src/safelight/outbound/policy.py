"""What the operator opens beyond public HTTPS, for development and for their own networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from safelight.domain.errors import ConfigurationError
from safelight.domain.numbers import number_within
from safelight.outbound.addresses import Address, Network, is_allowed_address


class OutboundPolicy(msgspec.Struct, frozen=True):
    """Three kinds of openings; nothing is open by default.

    ``hosts``       any address behind the name, plain HTTP or HTTPS, any port ``endpoints``   the same on
    one port only ``networks``    these addresses, also behind other names; URLs that spell such an address
    may use HTTP and any port
    """

    hosts: frozenset[str] = frozenset()
    endpoints: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str], setting: str = "SAFELIGHT_REFERENCES_ALLOW") -> OutboundPolicy:
        """Read ``images.internal``, ``localhost:9000``, ``10.0.0.0/8``, ``10.1.2.3``, ``[fd00::1]:9000``.

        Raises ``ConfigurationError`` naming ``setting`` and the entry.
        """
        hosts: set[str] = set()
        endpoints: set[tuple[str, int]] = set()
        networks: list[Network] = []
        for entry in (entry.strip() for entry in entries):
            if not entry:
                continue
            network = _network(entry)
            if network is not None:
                networks.append(network)
                continue
            host, colon, port = entry.rpartition(":")
            if not colon:
                hosts.add(_host(entry, entry, setting))
            elif number := number_within(port, 1, 65535):
                endpoints.add((_host(host, entry, setting), number))
            else:
                raise _wrong(entry, setting)
        return cls(frozenset(hosts), frozenset(endpoints), tuple(networks))

    def opens(self, host: str, port: int) -> bool:
        """Whether this host (lower case; an IPv6 address without brackets) is opened by name on this port."""
        return host in self.hosts or (host, port) in self.endpoints

    def allows_plain(self, host: str, port: int) -> bool:
        """Whether HTTP without TLS, and ports other than 443, may be used there."""
        if self.opens(host, port):
            return True
        ip = literal(host)
        return ip is not None and any(ip in network for network in self.networks)

    def allows(self, host: str, port: int, address: str) -> bool:
        """Whether ``address``, found for ``host``, may be connected to."""
        return self.opens(host, port) or is_allowed_address(address, self.networks)


def literal(host: str) -> Address | None:
    """The address that ``host`` spells, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None


def _host(text: str, entry: str, setting: str) -> str:
    host = text.lower()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if literal(host) is None:
            raise _wrong(entry, setting)
        return str(literal(host))
    if not host or not host.isascii() or set(host) & set("/:@%?#\\[] *"):
        raise _wrong(entry, setting)
    return host


def _wrong(entry: str, setting: str) -> ConfigurationError:
    return ConfigurationError(
        f"{setting}: '{entry}' is no host, host:port or network."
        " Write it like images.internal, localhost:9000 or 10.0.0.0/8."
    )
