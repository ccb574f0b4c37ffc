"""One delivery as people look at it: what was sent, what was answered, and when it goes on."""

from __future__ import annotations

import hmac
from datetime import datetime

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import NotFound
from safelight.domain.scope import OperatorScope, Scope
from safelight.lifecycle.events import Event, ToJson, event_body
from safelight.lifecycle.services import ViewServices
from safelight.webhooks.signing import signed_headers


class Backlog(msgspec.Struct, frozen=True):
    """How long the delivery waits that is due for longest; and how many endpoints are disabled."""

    oldest_seconds: float
    disabled: int


class _Found(Event, frozen=True, kw_only=True):
    id: int
    endpoint_id: int
    url: str
    is_disabled: bool
    state: str
    attempts: int
    last_status: int | None
    last_error: str | None
    last_headers: dict[str, str] | None
    last_duration_ms: int | None
    last_response: str | None
    created_at: datetime
    last_attempt_at: datetime | None
    ended_at: datetime | None
    next_attempt_at: datetime | None
    secrets: list[str]


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery and its last attempt.

    ``headers``: those that were sent, signatures included; None: nothing was sent yet. ``body`` is made again from the
    event, which keeps none: None where its generation is erased. ``is_as_sent``: its signature is the very one that was
    sent, so that it is the same byte for byte; False: what the event tells of, or the secret, was changed since. None:
    there is nothing to compare. ``response``: the first 2 KiB of the answer.
    """

    id: int
    endpoint_id: int
    event_id: str
    type: str
    generation_id: str | None
    generation_type: str | None
    url: str
    is_disabled: bool
    state: str
    attempts: int
    status: int | None
    error: str | None
    headers: dict[str, str] | None
    body: str | None
    is_as_sent: bool | None
    response: str | None
    duration_ms: int | None
    created_at: datetime
    last_attempt_at: datetime | None
    ended_at: datetime | None
    next_attempt_at: datetime | None


async def view_delivery(services: ViewServices, to_json: ToJson, scope: Scope, delivery_id: int) -> DeliveryView:
    """One delivery of the scope's. Raises ``NotFound``."""
    params = {"id": delivery_id, "workspace_id": scope.workspace_id}
    found = await services.db.one("find_delivery", params, _Found)
    if found is None:
        raise NotFound("There is no such delivery. The log goes back 30 days.")
    try:
        body: bytes | None = await event_body(services, to_json, found)
    except NotFound:
        body = None
    return DeliveryView(
        id=found.id,
        endpoint_id=found.endpoint_id,
        event_id=found.event_id,
        type=found.type,
        generation_id=found.generation_id,
        generation_type=found.generation_type,
        url=found.url,
        is_disabled=found.is_disabled,
        state=found.state,
        attempts=found.attempts,
        status=found.last_status,
        error=found.last_error,
        headers=found.last_headers,
        body=None if body is None else msgspec.json.format(body, indent=2).decode(),
        is_as_sent=_is_as_sent(found, body),
        response=found.last_response,
        duration_ms=found.last_duration_ms,
        created_at=found.created_at,
        last_attempt_at=found.last_attempt_at,
        ended_at=found.ended_at,
        next_attempt_at=found.next_attempt_at,
    )


def _is_as_sent(found: _Found, body: bytes | None) -> bool | None:
    """Whether one of today's secrets makes a signature that was sent from the body as it is now."""
    if body is None or not found.last_headers:
        return None
    sent = found.last_headers.get("webhook-signature", "").split()
    timestamp = int(found.last_headers.get("webhook-timestamp", "0"))
    now = signed_headers(found.event_id, timestamp, body, found.secrets)["webhook-signature"].split()
    return any(hmac.compare_digest(one, other) for one in sent for other in now)


async def backlog(operator: OperatorScope, db: Database) -> Backlog:
    """How deliveries stand, of all workspaces."""
    return await db.one("find_webhook_backlog", {}, Backlog) or Backlog(0, 0)
