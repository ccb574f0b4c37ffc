"""Looking a name up once, and judging the whole answer, before any packet goes to any address in it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Literal

from aiohttp.abc import AbstractResolver, ResolveResult

from safelight.outbound.policy import OutboundPolicy, literal

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host and port to the addresses found for it, in order of preference. Raises ``OSError``."""

Reason = Literal[
    "bad_url",
    "denied_address",
    "unresolved",
    "unreachable",
    "tls",
    "timeout",
    "bad_redirect",
    "too_many_redirects",
    "encoded",
    "too_large",
    "broken_answer",
    "status",
]
_MAX_ADDRESSES = 32

approved: ContextVar[set[str]] = ContextVar("approved")
"""The addresses that the request being made may connect to. Each request sets a set of its own."""


class OutboundRefused(Exception):
    """A request was not made, or its answer not taken. ``reason`` and ``detail`` are for the operator."""

    def __init__(self, reason: Reason, detail: str = "", *, target: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: Reason = reason
        self.detail = detail
        self.target = target


class SystemLookup:
    """``getaddrinfo`` in threads of its own, so that a hanging name server holds up nothing else."""

    def __init__(self, max_threads: int = 16) -> None:
        self._threads = ThreadPoolExecutor(max_threads, thread_name_prefix="lookup")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(entry[4][0]) for entry in found]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class CheckedResolver(AbstractResolver):
    """Answers aiohttp with addresses that the policy allows, or refuses the host whole."""

    def __init__(self, policy: OutboundPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises ``OutboundRefused``."""
        try:
            found = list(dict.fromkeys(await self._lookup(host, port)))
        except (OSError, UnicodeError) as error:
            raise OutboundRefused("unresolved", f"{host}: {error}") from error
        if not found or len(found) > _MAX_ADDRESSES:
            raise OutboundRefused("unresolved", f"{host}: {len(found)} addresses")
        self.approve(host, port, found)
        return [_result(host, port, address) for address in found]

    def approve(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Let the current request connect to these addresses. Raises ``OutboundRefused`` if one is denied."""
        for address in addresses:
            if literal(address) is None or not self._policy.allows(host, port, address):
                raise OutboundRefused("denied_address", f"{host}: {address}")
        approved.get().update(addresses)

    async def close(self) -> None:
        """Nothing is held here; the look-up is closed by whoever made it."""


def _result(host: str, port: int, address: str) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
