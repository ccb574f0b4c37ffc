"""Telling events to webhooks, beside the eight steps: what is due is sent, tried again, and given up in the end.

Events and deliveries come on record with the change that they tell (by triggers, see the migration ``0002``). Workers
share the deliveries by claiming them. The number of an attempt is what its outcome is written with, so that a worker
that was presumed dead can end nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from safelight.db.listen import listen
from safelight.db.pool import Database
from safelight.domain.errors import NotFound, ServiceUnavailable
from safelight.domain.events import EventType
from safelight.lifecycle.events import Event, ToJson, event_body
from safelight.lifecycle.services import ViewServices
from safelight.telemetry import observe
from safelight.telemetry.spans import Delivery
from safelight.webhooks.schedule import DELAYS_SECONDS, next_delay_seconds
from safelight.webhooks.sender import TIMEOUT_SECONDS, NotTaken, Outcome, Sender, Taken
from safelight.webhooks.signing import new_secret

log = structlog.get_logger()

SLOTS = 128
"""Attempts of one worker at once: at most half of what is free for one workspace ..."""
LANE_SLOTS = 4
"""... and how many of them may be for one endpoint, or for one host that requests name."""

_KEPT_SHARE = 4  # of all places one in so many is kept for workspaces that have nothing under way
_LANES_LOOKED_AT = 256  # of one endpoint at a time, others the next time: hosts are as many as a workspace names
_LEASE_SECONDS = 4 * TIMEOUT_SECONDS
_POLL_SECONDS = 5.0  # for a notification that was missed, and for what becomes due
KEEP_DAYS = 30


class _Due(Event, frozen=True, kw_only=True):
    """A delivery whose attempt number ``attempts`` was begun by claiming it. ``secrets``: the newest first."""

    id: int
    endpoint_id: int
    lane: str
    attempts: int
    url: str | None
    is_of_request: bool
    is_disabled: bool
    secrets: list[str]
    traceparent: str | None


class _Hopeless(NotTaken, frozen=True):
    """Trying again would change nothing."""


class WebhookDelivery:
    """Delivers what is due, within one worker process."""

    def __init__(
        self,
        services: ViewServices,
        sender: Sender,
        to_json: ToJson,
        *,
        slots: int = SLOTS,
        lane_slots: int = LANE_SLOTS,
    ) -> None:
        self._services = services
        self._sender = sender
        self._to_json = to_json
        self._slots = slots
        self._lane_slots = lane_slots
        self._wake = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self._attempts: dict[asyncio.Task[None], _Due] = {}
        self._is_closing = False

    def start(self) -> None:
        """Deliver until ``close``."""
        db = self._services.db
        self._running = [
            asyncio.create_task(
                listen(db.url, "listen_deliveries", lambda _: self._wake.set()), name="webhooks listen"
            ),
            asyncio.create_task(self._deliver_forever(), name="webhooks deliver"),
        ]

    async def deliver_due(self) -> int:
        """Make one attempt at each delivery that is due now, as far as there are slots; the number of attempts."""
        begun = await self._begin()
        if begun:
            await asyncio.wait(begun)
        return len(begun)

    async def close(self, grace_seconds: float) -> None:
        """Begin nothing more, let attempts end for a while, and hand the rest back to other workers."""
        self._is_closing = True  # a pool that is closed at the same time may swallow a cancellation (Python 3.11)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._attempts:
            await asyncio.wait(list(self._attempts), timeout=grace_seconds)
        given_up = dict(self._attempts)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        await self._sender.close()
        if given_up:
            params = {
                "ids": [due.id for due in given_up.values()],
                "attempts": [due.attempts for due in given_up.values()],
            }
            with contextlib.suppress(ServiceUnavailable):  # the lease brings them back
                await self._services.db.run("hand_back_deliveries", params)

    async def _deliver_forever(self) -> None:
        while not self._is_closing:
            self._wake.clear()
            try:
                begun = len(self._attempts) < self._slots and await self._begin()
            except ServiceUnavailable:
                log.warning("webhooks wait: the database is away")
                begun = False
            except Exception:
                log.exception("webhooks broke")
                begun = False
            if not begun:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()

    async def _begin(self) -> list[asyncio.Task[None]]:
        busy = Counter((due.workspace_id, due.lane) for due in self._attempts.values())
        params = {
            "slots": self._slots - len(self._attempts),
            "kept_slots": self._slots // _KEPT_SHARE,
            "lane_slots": self._lane_slots,
            "lanes_looked_at": _LANES_LOOKED_AT,
            "busy_workspaces": [workspace_id for workspace_id, _ in busy],
            "busy_lanes": [lane for _, lane in busy],
            "busy_attempts": list(busy.values()),
            "lease_seconds": _LEASE_SECONDS,
        }
        claimed = await self._services.db.all("claim_deliveries", params, _Due)
        return [self._start(due) for due in claimed]

    def _start(self, due: _Due) -> asyncio.Task[None]:
        task = asyncio.create_task(self._attempt(due), name=f"webhook {due.event_id}")
        self._attempts[task] = due
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._attempts[task]
        self._wake.set()

    async def _attempt(self, due: _Due) -> None:
        with observe.WebhookAttempt(_traced(due)) as attempt:
            try:
                outcome = await self._outcome(due)
            except ServiceUnavailable:
                return  # nothing was sent; the lease brings it back
            except Exception:
                log.exception("webhook broke", id=due.event_id)
                outcome = NotTaken("internal")
            attempt.came(outcome.status, outcome.error if isinstance(outcome, NotTaken) else None)
            try:
                attempt.result = await self._record(due, outcome)
            except ServiceUnavailable:
                log.warning("webhook sent, but not recorded: it will be sent again", id=due.event_id)

    async def _outcome(self, due: _Due) -> Outcome:
        if due.is_disabled:
            return _Hopeless("endpoint_disabled")
        if due.attempts > len(DELAYS_SECONDS):
            return _Hopeless("lost")  # each attempt ended with its worker
        try:
            body = await event_body(self._services, self._to_json, due)
        except NotFound:
            return _Hopeless("nothing_to_tell")
        assert due.url is not None
        return await self._sender.send(due.url, due.event_id, body, due.secrets)

    async def _record(self, due: _Due, outcome: Outcome) -> observe.AttemptResult:
        """Put on record what came of an attempt, and what is to follow."""
        state, error, delay_seconds, exchange = "delivered", None, None, outcome.exchange
        if isinstance(outcome, NotTaken):
            error = outcome.error
            if not (isinstance(outcome, _Hopeless) or outcome.is_gone):
                delay_seconds = next_delay_seconds(due.attempts, outcome.retry_after)
            state = "failed" if delay_seconds is None else "pending"
        params = {
            "id": due.id,
            "attempts": due.attempts,
            "state": state,
            "status": outcome.status,
            "error": error,
            "delay_seconds": delay_seconds,
            "headers": None if exchange is None else Jsonb(exchange.headers),
            "duration_ms": None if exchange is None else exchange.duration_ms,
            "response": None if exchange is None else exchange.response,
        }
        await self._services.db.run("record_delivery", params)
        if isinstance(outcome, Taken):
            return "delivered"
        log.info("webhook not taken", id=due.event_id, error=error, status=outcome.status, attempts=due.attempts)
        if outcome.is_gone and not due.is_of_request:
            await self._services.db.run("disable_endpoint", {"id": due.endpoint_id, "reason": "it answered 410 Gone"})
            log.warning("webhook endpoint disabled: it answered 410 Gone", endpoint=due.endpoint_id)
        if delay_seconds is not None and delay_seconds < 2 * _POLL_SECONDS:
            asyncio.get_running_loop().call_later(delay_seconds, self._wake.set)
        return "failed" if delay_seconds is None else "retry"


def _traced(due: _Due) -> Delivery:
    return Delivery(
        event_id=due.event_id,
        event=due.type,
        attempt=due.attempts,
        generation_id=due.generation_id,
        workspace_id=due.workspace_id,
        url=due.url,
        traceparent=due.traceparent,
    )


async def ensure_request_secret(db: Database, workspace_id: int) -> None:
    """Give the workspace the secret that events at its requests' own addresses are signed with, if it has none yet."""
    await db.run("ensure_request_endpoint", {"workspace_id": workspace_id, "secret": new_secret()})


async def announce(db: Database, workspace_id: int, type_: EventType, payload: dict[str, Any]) -> None:
    """Tell an event that goes with no change of a row. Those that do are told by the row's own triggers."""
    params = {"workspace_id": workspace_id, "type": str(type_), "payload": Jsonb(payload)}
    await db.one("record_event", params, tuple)


async def expire_events(db: Database) -> int:
    """Forget events, and their deliveries, that ended over 30 days ago; a batch of them, and their number."""
    return await db.run("expire_events", {"days": KEEP_DAYS})
