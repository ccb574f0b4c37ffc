"""Fetching reference images, such that a client learns nothing of the network it names."""

from __future__ import annotations

import asyncio
import ssl

import structlog

from safelight.domain.errors import InvalidParameter
from safelight.domain.text import quoted
from safelight.outbound.client import GuardedClient
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import Lookup, OutboundRefused
from safelight.outbound.urls import AddressRefused, Target, UrlRefused, parse_reachable
from safelight.references.data_url import MAX_IMAGE_BYTES

log = structlog.get_logger(__name__)

_HEADERS = {"Accept": "image/png, image/jpeg, image/webp"}
NOT_FETCHED = (
    "The image could not be fetched from this address. It must be public, answer a plain GET with status 200"
    " within 20 seconds, and redirect at most 3 times."
)


class ReferenceFetcher:
    """Fetches images over HTTPS from public addresses, and from what ``policy`` opens.

    At most ``max_concurrent`` are fetched at a time; waiting for a turn counts against
    ``deadline_seconds``. ``lookup`` and ``ssl_context`` are for tests and for operators with authorities of
    their own.
    """

    def __init__(
        self,
        policy: OutboundPolicy | None = None,
        *,
        lookup: Lookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
        deadline_seconds: float = 20.0,
        max_bytes: int = MAX_IMAGE_BYTES,
        max_concurrent: int = 32,
    ) -> None:
        self._policy = policy or OutboundPolicy()
        self._client = GuardedClient(
            self._policy, lookup=lookup, ssl_context=ssl_context, max_connections=max_concurrent
        )
        self._turns = asyncio.Semaphore(max_concurrent)
        self._deadline_seconds = deadline_seconds
        self._max_bytes = max_bytes

    def check(self, url: str, param: str) -> None:
        """Refuse an address that would never be asked. Raises ``InvalidParameter`` naming ``param``."""
        self._target(url, param)

    async def fetch(self, url: str, param: str) -> bytes:
        """The bytes at ``url``, at most 10 MiB. Raises ``InvalidParameter`` naming ``param``.

        Whatever goes wrong on the way (denied, unresolved, refused, late, wrong status) comes to the client in the
        same words; the reason is in the log, without the query, which may hold a signature. Only what came with
        status 200 is told from it: too large, or in a content coding.
        """
        target = self._target(url, param)
        try:
            async with (
                asyncio.timeout(self._deadline_seconds),
                self._turns,
                self._client.stream(
                    url, headers=_HEADERS, max_bytes=self._max_bytes, deadline_seconds=self._deadline_seconds
                ) as answer,
            ):
                if answer.status != 200:  # before its body, of which nothing may be told
                    raise OutboundRefused("status", str(answer.status), target=target.loggable)
                return await answer.read()
        except TimeoutError:
            refused = OutboundRefused("timeout", target=target.loggable)
        except OutboundRefused as caught:
            refused = caught
        log.info("reference.not_fetched", reason=refused.reason, detail=refused.detail, target=refused.target)
        if refused.reason == "too_large":
            raise InvalidParameter("The image is over the limit of 10 MiB.", param=param)
        if refused.reason == "encoded":
            raise InvalidParameter(
                f"The image comes in the content coding {quoted(refused.detail)}. Serve it without Content-Encoding.",
                param=param,
            )
        raise InvalidParameter(NOT_FETCHED, param=param)

    def _target(self, url: str, param: str) -> Target:
        """Where the image is to be fetched from. Raises ``InvalidParameter`` naming ``param``."""
        try:
            return parse_reachable(url, self._policy)
        except AddressRefused:
            raise InvalidParameter(NOT_FETCHED, param=param) from None  # as for a name that resolves to it
        except UrlRefused as refused:
            raise InvalidParameter(str(refused), param=param) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()
