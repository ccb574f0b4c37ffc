"""Webhook endpoints of workspaces, and the log of what was delivered to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from safelight.accounts.workspaces import get_workspace
from safelight.db.pool import Database, every, one
from safelight.domain.errors import IdempotencyConflict, InvalidParameter, NotFound
from safelight.domain.events import EventType
from safelight.domain.scope import Scope, WorkspaceScope
from safelight.outbound.policy import OutboundPolicy
from safelight.webhooks.sender import read_webhook_url
from safelight.webhooks.signing import new_secret

STATES = ("pending", "delivered", "failed")
MOST_RECENT = 1000
"""Of so many deliveries of an endpoint, the newest, it is counted what became of them."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a workspace is told of events. ``url`` None: where its requests say. ``event_types`` None: all of them.

    ``previous_until``: until when the secret before the last rotation signs as well.
    """

    id: int
    workspace: str
    url: str | None
    event_types: list[str] | None
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None
    previous_until: datetime | None
    pending: int


class FoundEndpoint(Endpoint, frozen=True, kw_only=True):
    """One endpoint. ``failed``: what ``redeliver`` repeats, as it failed and was not repeated since.
    ``secret_sha256``, in hexadecimal, tells one secret from the next."""

    failed: int
    secret_sha256: str


class RecentDeliveries(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the newest ``MOST_RECENT`` deliveries of an endpoint."""

    endpoint_id: int
    url: str | None
    delivered: int
    failed: int
    last_attempt_at: datetime | None


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's secret, shown once. ``previous_until``: how long the one before it signs as well."""

    id: int
    secret: str
    previous_until: datetime | None = None


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log: one event on its way to one address."""

    id: int
    event_id: str
    type: str
    generation_id: str | None
    workspace: str
    endpoint_id: int
    url: str
    state: str
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: datetime
    last_attempt_at: datetime | None
    ended_at: datetime | None
    next_attempt_at: datetime | None


async def create_endpoint(
    scope: WorkspaceScope,
    db: Database,
    *,
    url: str | None,
    policy: OutboundPolicy,
    event_types: Sequence[str] = (),
    idempotency_key: str | None = None,
) -> NewSecret:
    """Make an endpoint for the given event types, or for all; without ``url``, the one for addresses in requests.

    ``idempotency_key``: of what asks for it, to make no other where it is sent again. Raises ``IdempotencyConflict``
    then, and ``InvalidParameter`` and ``NotFound``.
    """
    unknown = [name for name in event_types if name not in set(EventType)]
    if unknown:
        raise InvalidParameter(f"There is no event {unknown[0]!r}. Use: {', '.join(EventType)}.", param="events")
    if url is None and event_types:
        raise InvalidParameter("Requests are told of their own generations. Leave the events out.", param="events")
    await get_workspace(scope, db)
    secret = new_secret()
    params = {
        "workspace_id": scope.workspace_id,
        "url": None if url is None else read_webhook_url(url, policy, param="url"),
        "event_types": sorted(set(event_types)) or None,
        "secret": secret,
        "idempotency_key": idempotency_key,
    }
    row = await db.one("create_endpoint", params, tuple)
    if row is None:
        if idempotency_key is not None and (made := await db.one("find_endpoint_made_by", params, tuple)):
            raise IdempotencyConflict(
                f"This form was sent before, and made endpoint {made[0]}: no other was made now. Its secret was shown "
                "then. If you do not have it, give that endpoint a new one."
            )
        raise InvalidParameter(
            "The workspace has a secret for addresses in requests already. Rotate it to have a new one "
            "('safelight webhooks rotate').",
            param="url",
        )
    return NewSecret(id=row[0], secret=secret)


async def list_endpoints(scope: Scope, db: Database) -> list[Endpoint]:
    """Endpoints by workspace and age."""
    return await db.all("list_endpoints", {"workspace_id": scope.workspace_id}, Endpoint)


async def get_endpoint(scope: Scope, db: Database, endpoint_id: int) -> FoundEndpoint:
    """One endpoint. Raises ``NotFound``."""
    found = await db.one("find_endpoint", _named(scope, endpoint_id), FoundEndpoint)
    if found is None:
        raise _no_such_endpoint(endpoint_id)
    return found


async def recent_deliveries(
    scope: WorkspaceScope, db: Database, endpoint_id: int | None = None
) -> dict[int, RecentDeliveries]:
    """What became of the newest deliveries of each endpoint of the workspace, or of one, by the endpoint's number."""
    params = {**_named(scope, endpoint_id), "most": MOST_RECENT}
    found = await db.all("count_recent_deliveries", params, RecentDeliveries)
    return {each.endpoint_id: each for each in found}


async def rotate_secret(
    scope: Scope, db: Database, endpoint_id: int, *, keep_seconds: int, seen: str | None = None
) -> NewSecret:
    """Give an endpoint a new secret. The old one signs beside it for ``keep_seconds``. Raises ``NotFound``.

    ``seen``: the ``secret_sha256`` that whoever asks has seen. Raises ``IdempotencyConflict`` where that is no more the
    one, as the same asked twice would give up the secret that receivers still have.
    """
    if keep_seconds < 0:
        raise InvalidParameter("The old secret cannot be kept for less than no time.", param="keep")
    secret = new_secret()
    params = {**_named(scope, endpoint_id), "secret": secret, "keep_seconds": keep_seconds, "seen": seen}
    row = await db.one("rotate_endpoint_secret", params, tuple)
    if row is None:
        await get_endpoint(scope, db, endpoint_id)
        raise IdempotencyConflict(
            "The secret was changed since this form was opened, and is not changed again. The new one was shown then. "
            "If you do not have it, open the endpoint's page again, and give it another."
        )
    return NewSecret(id=endpoint_id, secret=secret, previous_until=row[0])


async def enable_endpoint(scope: Scope, db: Database, endpoint_id: int) -> None:
    """Send to an endpoint again that was disabled. Raises ``NotFound``."""
    if not await db.run("enable_endpoint", _named(scope, endpoint_id)):
        raise _no_such_endpoint(endpoint_id)


async def disable_endpoint(scope: Scope, db: Database, endpoint_id: int, *, reason: str) -> None:
    """Send nothing more to an endpoint; what waits for it has failed. Raises ``NotFound``."""
    await get_endpoint(scope, db, endpoint_id)
    await db.run("disable_endpoint", {"id": endpoint_id, "reason": reason})


async def delete_endpoint(scope: Scope, db: Database, endpoint_id: int) -> None:
    """Forget an endpoint and its log; what waits for it is not sent. Raises ``NotFound``.

    A long log goes a batch at a time. The endpoint is off meanwhile; broken off, the same call goes on.
    """
    params = {"endpoint_id": endpoint_id}
    if not await db.run("close_endpoint", {**params, "workspace_id": scope.workspace_id}):
        raise _no_such_endpoint(endpoint_id)
    while (batch := await db.one("forget_deliveries", params, tuple)) and batch[0]:
        pass
    await db.run("delete_endpoint", params)


async def list_deliveries(
    scope: Scope,
    db: Database,
    *,
    endpoint_id: int | None = None,
    state: str | None = None,
    most: int = 50,
) -> list[DeliveryRecord]:
    """The log, newest first: ``most`` lines of it."""
    if state is not None and state not in STATES:
        raise InvalidParameter(f"There is no state {state!r}. Use one of: {', '.join(STATES)}.", param="state")
    of_which = {"states": list(STATES) if state is None else [state], "most": most}
    if scope.workspace_id is None and endpoint_id is None:
        return await db.all("list_all_deliveries", of_which, DeliveryRecord)
    params = {"workspace_id": scope.workspace_id, "endpoint_id": endpoint_id, **of_which}
    return await db.all("list_deliveries", params, DeliveryRecord)


async def list_endpoint_deliveries(
    scope: Scope,
    db: Database,
    endpoint_id: int,
    *,
    state: str | None = None,
    type_: str | None = None,
    before: int | None = None,
    most: int = 50,
) -> list[DeliveryRecord]:
    """The log of one endpoint, newest first: ``most`` lines of it. ``before``: the number of the last that is known."""
    params = {
        **_named(scope, None),
        "endpoint_id": endpoint_id,
        "states": list(STATES) if state is None else [state],
        "type": type_,
        "before": before,
        "most": most,
    }
    return await db.all("list_endpoint_deliveries", params, DeliveryRecord)


async def redeliver(
    scope: Scope, db: Database, *, delivery_id: int | None = None, endpoint_id: int | None = None
) -> list[int]:
    """Deliver once more: one delivery, or all that failed at an endpoint. The numbers of the new deliveries.

    The event keeps its id. Raises ``NotFound`` for a delivery that is not there or whose endpoint is disabled.
    """
    scoped = {"workspace_id": scope.workspace_id}
    async with db.connection() as connection, connection.transaction():
        if delivery_id is not None:
            rows = await every(connection, "redeliver", {**scoped, "id": delivery_id}, tuple)
        else:
            of_which = {**scoped, "endpoint_id": endpoint_id}
            await one(connection, "lock_endpoint", of_which, tuple)  # whoever asks for the same finds it done
            rows = await every(connection, "redeliver_failed", of_which, tuple)
        made = [row[0] for row in rows]
        await one(connection, "wake_deliveries", {}, tuple)
    if delivery_id is not None and not made:
        raise NotFound(
            f"There is no delivery {delivery_id}, or its endpoint is disabled. "
            "'safelight webhooks deliveries' and 'safelight webhooks list' show them."
        )
    return made


def _named(scope: Scope, endpoint_id: int | None) -> dict[str, int | None]:
    """Parameters of a statement about one endpoint."""
    return {"id": endpoint_id, "workspace_id": scope.workspace_id}


def _no_such_endpoint(endpoint_id: int) -> NotFound:
    return NotFound(f"There is no webhook endpoint {endpoint_id}. 'safelight webhooks list' shows those that exist.")
