"""A header that says who somebody is counts only where a proxy of ours says it."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send


class ByProxies:
    """Wraps an ASGI app, outside of what reads whom a proxy speaks for: it sees who sends.

    ``header`` goes on from ``proxies`` alone, and not where it is given twice: one of the two may be the client's.
    """

    def __init__(self, app: ASGIApp, header: str, proxies: Sequence[str]) -> None:
        self._app = app
        self._header = header.lower().encode()
        self._networks = [ip_network(each, strict=False) for each in proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = sum(name == self._header for name, _ in scope["headers"])
            if given > 1 or (given and not self._is_proxy(scope)):
                kept = [(name, value) for name, value in scope["headers"] if name != self._header]
                scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)

    def _is_proxy(self, scope: Scope) -> bool:
        try:
            sender = ip_address(scope["client"][0])
        except (ValueError, TypeError):
            return False
        return any(sender in network for network in self._networks)
