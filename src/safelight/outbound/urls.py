"""Strict reading of URLs: what could be read in two ways is refused, not repaired (a subset of RFC 3986)."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urljoin

import msgspec

from safelight.outbound.policy import OutboundPolicy, literal

MAX_URL_CHARACTERS = 8192
_SHAPE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?:#.*)?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PRINTABLE = re.compile(r"[!-\[\]-~]*")  # printable ASCII without the space and the backslash
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LOOKS_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class UrlRefused(Exception):
    """The URL is refused; the message is for whoever sent it."""


class AddressRefused(UrlRefused):
    """The URL spells an address that may not be reached."""


class Target(msgspec.Struct, frozen=True):
    """A URL that has been read. ``host`` is lower case, IPv6 without brackets; ``path`` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """The URL to request, in its one spelling."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def loggable(self) -> str:
        """The URL without its query, which may hold a signature; the path is cut at 200 characters."""
        return f"{self.scheme}://{self.host}:{self.port}{self.path.partition('?')[0][:200]}"


_DEFAULT_PORTS = {"https": 443, "http": 80}


def parse_url(url: str, policy: OutboundPolicy) -> Target:
    """Read a URL that is to be requested. Raises ``UrlRefused``.

    HTTPS on 443 only, unless ``policy`` opens the host. The fragment is dropped. No address is checked here.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise UrlRefused(f"The URL is over {MAX_URL_CHARACTERS} characters.")
    if not _PRINTABLE.fullmatch(url):
        raise UrlRefused("The URL holds spaces, backslashes, control or non-ASCII characters; percent-encode them.")
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise UrlRefused("The URL must be an absolute https:// one.")
    scheme = shape["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise UrlRefused(f"URLs of the scheme '{scheme[:20]}' are not accepted; use https.")
    host, port = _split_authority(shape["authority"], _DEFAULT_PORTS[scheme])
    _check_host(host, policy.opens(host, port))
    if (scheme, port) != ("https", 443) and not policy.allows_plain(host, port):
        raise UrlRefused("Only https on port 443 is accepted.")
    rest = shape["rest"]
    return Target(scheme, host, port, rest if rest.startswith("/") else f"/{rest}")


def parse_reachable(url: str, policy: OutboundPolicy) -> Target:
    """As ``parse_url``, and ``AddressRefused`` for a URL that spells an address which may not be reached.

    What a name resolves to is checked when it is asked for, and each time anew.
    """
    target = parse_url(url, policy)
    if literal(target.host) is not None and not policy.allows(target.host, target.port, target.host):
        raise AddressRefused("The URL's address is not a public one.")
    return target


def parse_redirect(location: str, base: Target, policy: OutboundPolicy) -> Target:
    """Read a ``Location`` answered by ``base`` (RFC 9110 section 10.2.2), as strictly. Raises ``UrlRefused``."""
    if _ABSOLUTE.match(location):
        return parse_url(location, policy)
    if not _PRINTABLE.fullmatch(location):
        raise UrlRefused("The redirect holds spaces, backslashes, control or non-ASCII characters.")
    try:
        joined = urljoin(base.url, location)
    except ValueError:
        raise UrlRefused("The redirect is not a valid URL.") from None
    return parse_url(joined, policy)


def _split_authority(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise UrlRefused("The URL must not hold a user name or password.")
    if "%" in authority:
        raise UrlRefused("The URL's host must not be percent-encoded or have a zone.")
    host, port = authority.lower(), str(default_port)
    if host.startswith("["):
        host, closed, port_part = host[1:].partition("]")
        if not closed or (port_part and not port_part.startswith(":")):
            raise UrlRefused("The URL's host is not valid.")
        port = port_part[1:] if port_part else port
        return _canonical_v6(host), _port(port)
    if ":" in host:
        host, _, port = host.partition(":")
    return host, _port(port)


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise UrlRefused("The URL's port is not valid.")
    return int(text)


def _canonical_v6(text: str) -> str:
    try:
        ip = ipaddress.IPv6Address(text)
    except ValueError:
        raise UrlRefused("The URL's host is not a valid IPv6 address.") from None
    if ip.scope_id is not None or ip.ipv4_mapped is not None or str(ip) != text:
        raise UrlRefused("The URL's IPv6 address is not in its canonical form (RFC 5952).")
    return text


def _check_host(host: str, opened: bool) -> None:
    if ":" in host:
        return
    labels = host.split(".")
    if not host or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlRefused("The URL's host is not a valid name.")
    # As in the WHATWG URL standard, a host whose last label is a number is an IPv4 address, in whatever
    # spelling.
    if _LOOKS_NUMERIC.fullmatch(labels[-1]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise UrlRefused("The URL's host is not a canonical IPv4 address.") from None
    elif len(labels) < 2 and not opened:
        raise UrlRefused("The URL's host must be a full domain name.")
