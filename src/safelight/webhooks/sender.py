"""One attempt at a delivery. Every address is checked anew for each, as for anything that a stranger names."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence

import msgspec

from safelight.domain.errors import InvalidParameter
from safelight.domain.text import first_bytes, printable_lines, without_secrets
from safelight.outbound.client import NEVER_SENT, GuardedClient
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import Lookup, OutboundRefused
from safelight.outbound.urls import UrlRefused, parse_reachable
from safelight.telemetry import traces
from safelight.webhooks.signing import signed_headers

TIMEOUT_SECONDS = 15.0
MOST_ANSWER_BYTES = 2048
_BODY_SECONDS = 1.0  # the status says it all: the body is only for people to look at
_GONE = 410


class Exchange(msgspec.Struct, frozen=True):
    """What went over the line, for people to look at.

    ``headers`` are those of the request, ``duration_ms`` how long it took until the answer was there or was given up.
    ``response``: the first ``MOST_ANSWER_BYTES`` of the answer's body, as text that shows, without the endpoint's
    secrets; None: no answer.
    """

    headers: dict[str, str]
    duration_ms: int
    response: str | None


class Taken(msgspec.Struct, frozen=True):
    """The receiver answered with a status from 200 to 299."""

    status: int
    exchange: Exchange | None = None


class NotTaken(msgspec.Struct, frozen=True):
    """The receiver did not take it. ``error`` is one word for the log; ``retry_after`` its header of that name.

    ``exchange`` None: nothing was sent.
    """

    error: str
    status: int | None = None
    retry_after: str | None = None
    exchange: Exchange | None = None

    @property
    def is_gone(self) -> bool:
        """The receiver wants nothing of this sender any more."""
        return self.status == _GONE


Outcome = Taken | NotTaken


def read_webhook_url(url: str, policy: OutboundPolicy, param: str = "webhook_url") -> str:
    """The address in its one spelling. Raises ``InvalidParameter`` naming ``param``."""
    try:
        return parse_reachable(url, policy).url
    except UrlRefused as refused:
        raise InvalidParameter(str(refused), param=param) from None


class Sender:
    """Posts events within ``policy``. Belongs to one event loop."""

    def __init__(
        self,
        policy: OutboundPolicy,
        *,
        max_connections: int,
        lookup: Lookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        # Whoever calls keeps the slow from crowding out the rest: a queue here would count against an attempt's time.
        self._client = GuardedClient(
            policy,
            lookup=lookup,
            ssl_context=ssl_context,
            max_connections=max_connections,
            max_connections_per_host=max_connections,
        )

    async def send(self, url: str, event_id: str, body: bytes, secrets: Sequence[str]) -> Outcome:
        """Post one event, signed for this moment."""
        headers = {"content-type": "application/json", **signed_headers(event_id, int(time.time()), body, secrets)}
        if (traceparent := traces.traceparent()) is not None:
            headers["traceparent"] = traceparent
        began = time.monotonic()

        def exchange(response: str | None) -> Exchange:
            return Exchange(headers, round((time.monotonic() - began) * 1000), response)

        try:
            answer = await self._client.post(
                url,
                body,
                headers=headers,
                deadline_seconds=self._timeout_seconds,
                max_bytes=MOST_ANSWER_BYTES,
                body_seconds=_BODY_SECONDS,
            )
        except OutboundRefused as refused:
            was_sent = refused.reason not in NEVER_SENT
            return NotTaken(refused.reason, exchange=exchange(None) if was_sent else None)
        said = exchange(readable(answer.body, secrets))
        if 200 <= answer.status < 300:
            return Taken(answer.status, said)
        error = "redirect" if 300 <= answer.status < 400 else "status"
        return NotTaken(error, answer.status, answer.headers.get("retry-after"), said)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()


def readable(body: bytes, secrets: Sequence[str]) -> str:
    """The beginning of a body as text that shows, in no more bytes than it may have had; without the secrets.

    What is no UTF-8 shows as such, and what would command a terminal as an escape.
    """
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").expandtabs(4)
    return first_bytes(printable_lines(without_secrets(text, secrets)), MOST_ANSWER_BYTES)
