"""The one transaction that accepts generations: idempotency, limits, the hold, the row, and for a video the job.

Those that are asked for together are accepted together, or none of them is.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Sequence

import msgspec
from psycopg import Rollback
from psycopg.types.json import Jsonb

from safelight.db.pool import Connection, NotConnected, one
from safelight.domain.catalog import BillableUnit, Binding
from safelight.domain.errors import InvalidParameter, MayBeAccepted, QuotaExceeded, RateLimited, ServiceUnavailable
from safelight.domain.generations import GenerationType
from safelight.domain.pricing import Price
from safelight.domain.request import Spec
from safelight.lifecycle.claims import Claim, Intent
from safelight.lifecycle.services import RateWindow, SubmitServices
from safelight.node.killpoints import killpoint
from safelight.telemetry import observe, traces

_TRIES = 3
_LOST_ANSWER_SECONDS, _LOST_ANSWER_PAUSE_SECONDS = 4.5, 0.2
"""A client waits no longer, if the database is away, for word of whether its request is on record."""


class NewGeneration(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement ``submit`` is given.

    An image is run by the process that accepts it: it is born claimed (``run_token``), the intent for its first
    binding on record. ``is_capped``: its hold is counted against its key's spend cap.
    """

    id: str
    workspace_id: int
    api_key_id: int | None
    is_capped: bool
    type: GenerationType
    model: str
    request: Jsonb
    body_sha256: bytes
    idempotency_key: str | None
    billable_unit: BillableUnit
    unit_price_nanos: int
    quantity: int
    held_nanos: int
    run_token: uuid.UUID | None
    connection: str | None
    upstream_model: str | None
    binding_options: Jsonb | None
    lease_seconds: int
    deadline_seconds: int
    retention_seconds: int
    is_stored: bool
    webhook_url: str | None
    end_user: str | None
    remixed_from: str | None
    way_in: str | None
    traceparent: str | None
    low_balance_nanos: int | None
    default_rpm: int
    default_concurrency: int


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was checked, and priced, and only has to be accepted. ``is_capped``: its key has a spend cap."""

    id: str
    workspace_id: int
    api_key_id: int | None
    is_capped: bool
    type: GenerationType
    model: str
    spec: Spec
    price: Price
    first_binding: Binding
    body_sha256: bytes
    idempotency_key: str | None
    retention_seconds: int
    is_stored: bool
    webhook_url: str | None
    end_user: str | None = None
    remixed_from: str | None = None
    way_in: str | None = None


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A generation under way. ``claim``: the caller is to run it. ``is_replay``: it is an earlier attempt."""

    id: str
    claim: Claim | None = None
    is_replay: bool = False
    window: RateWindow | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How a rate window stands, as statements tell it."""

    rate_limit: int
    rate_used: int
    rate_reset: int

    def as_rate_window(self) -> RateWindow:
        return RateWindow(limit=self.rate_limit, used=self.rate_used, reset=self.rate_reset)


class _Limits(Window, frozen=True, kw_only=True):
    available_nanos: int
    in_flight: int
    concurrency: int
    reset_in_seconds: float


async def accept(services: SubmitServices, ready: Sequence[Ready]) -> list[Accepted]:
    """Put them on record, all or none, and hold their price.

    They are of one request: of one key, one model and one price. Raises ``QuotaExceeded``, ``RateLimited`` and
    ``ServiceUnavailable``, of which ``MayBeAccepted`` where they may be on record all the same.
    """
    new = [_new_generation(services, each) for each in ready]
    give_up_at = time.monotonic() + _LOST_ANSWER_SECONDS
    for _ in range(_TRIES):
        try:
            window = await _insert(services, new)
        except NotConnected:
            raise
        except ServiceUnavailable as error:
            is_on_record = await _is_on_record(services, new[0], give_up_at)
            if is_on_record is None:
                raise MayBeAccepted(retry_after_seconds=error.retry_after_seconds) from None
            if not is_on_record:
                raise
            return _accepted(new, ready, None)
        if window is not None:
            killpoint("submit-after-commit")
            return _accepted(new, ready, window.as_rate_window())
        await _explain_refusal(services, new)
        # A key may have got a cap meanwhile.
        new = [msgspec.structs.replace(each, is_capped=each.api_key_id is not None) for each in new]
    raise ServiceUnavailable  # the account changed each time between the refusal and the question why


def _accepted(new: Sequence[NewGeneration], ready: Sequence[Ready], window: RateWindow | None) -> list[Accepted]:
    """They are on record."""
    pairs = zip(new, ready, strict=True)
    observe.held(sum(each.held_nanos for each in new))
    return [Accepted(id=each.id, claim=_claim(each, its), window=window) for each, its in pairs]


async def rate_window(services: SubmitServices, workspace_id: int, type_: GenerationType) -> RateWindow | None:
    """How the workspace's rate window for a type stands."""
    params = {
        "workspace_id": workspace_id,
        "type": type_,
        "default_rpm": services.limits.rpm(type_),
        "default_concurrency": services.limits.concurrency,
    }
    row = await services.db.one("limits", params, _Limits)
    return row.as_rate_window() if row else None


def _new_generation(services: SubmitServices, ready: Ready) -> NewGeneration:
    limits, is_image = services.limits, ready.type is GenerationType.IMAGE
    binding = ready.first_binding if is_image else None
    return NewGeneration(
        id=ready.id,
        workspace_id=ready.workspace_id,
        api_key_id=ready.api_key_id,
        is_capped=ready.is_capped,
        type=ready.type,
        model=ready.model,
        request=Jsonb(ready.spec),
        body_sha256=ready.body_sha256,
        idempotency_key=ready.idempotency_key,
        billable_unit=ready.price.billable_unit,
        unit_price_nanos=ready.price.unit_price_nanos,
        quantity=ready.price.quantity,
        held_nanos=ready.price.total_nanos,
        run_token=services.presence.run_token() if is_image else None,
        connection=None if binding is None else binding.connection,
        upstream_model=None if binding is None else binding.upstream_model,
        binding_options=None if binding is None else Jsonb(binding.options),
        lease_seconds=limits.lease_seconds,
        deadline_seconds=limits.deadline_seconds(services.catalog.models[ready.model]),
        retention_seconds=ready.retention_seconds,
        is_stored=ready.is_stored,
        webhook_url=ready.webhook_url,
        end_user=ready.end_user,
        remixed_from=ready.remixed_from,
        way_in=ready.way_in,
        traceparent=traces.traceparent(),
        low_balance_nanos=limits.low_balance_nanos,
        default_rpm=limits.rpm(ready.type),
        default_concurrency=limits.concurrency,
    )


def _claim(new: NewGeneration, ready: Ready) -> Claim | None:
    """The claim that an image is born with. Its intent is on record, and no backend was called yet."""
    if new.run_token is None:
        return None
    binding = ready.first_binding
    return Claim(
        id=new.id,
        workspace_id=new.workspace_id,
        type=new.type,
        model=new.model,
        spec=ready.spec,
        price=ready.price,
        run_token=new.run_token,
        intent=Intent(
            connection=binding.connection,
            upstream_model=binding.upstream_model,
            options=msgspec.to_builtins(binding.options),
        ),
        binding_place=0,
        was_submitted=False,
        submitted_at=None,
        is_intent_recorded=True,
        handle=None,
        is_unknown=False,
        is_cancel_requested=False,
        attempts=1,
        remaining_seconds=float(new.deadline_seconds),
    )


async def _insert(services: SubmitServices, new: Sequence[NewGeneration]) -> Window | None:
    """The window after the last of them; None where not all of them found room, and none is on record."""
    async with services.db.turn(new[0].workspace_id), services.db.connection() as connection:
        if len(new) == 1 and new[0].type is GenerationType.IMAGE and not new[0].is_capped:
            killpoint("submit-before-commit")
            return await one(connection, "submit", new[0], Window)  # one statement: its own transaction
        window = None
        async with connection.transaction(), connection.pipeline():
            for each in new:
                window = await one(connection, "submit", each, Window)
                if window is None:
                    raise Rollback
                if each.is_capped:
                    await _spend_from_key(connection, each)
                if each.type is GenerationType.VIDEO:
                    await services.enqueue(connection, each.id, each.model)
            killpoint("submit-before-commit")
        return window


async def _is_on_record(services: SubmitServices, new: NewGeneration, give_up_at: float) -> bool | None:
    """Whether a submission whose answer was lost with the connection is on record all the same; None: nobody says."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(give_up_at - time.monotonic()):
            while True:
                await asyncio.sleep(_LOST_ANSWER_PAUSE_SECONDS)
                try:
                    asked = {"id": new.id, "workspace_id": new.workspace_id}
                    return await services.db.lookup("find_generation", asked, dict) is not None
                except ServiceUnavailable:
                    continue
    return None


async def _spend_from_key(connection: Connection, new: NewGeneration) -> None:
    params = {"api_key_id": new.api_key_id, "held_nanos": new.held_nanos}
    if not await one(connection, "spend_from_key", params, tuple):
        raise QuotaExceeded("This API key has reached its spend cap. Use another key, or raise the cap.")


async def _explain_refusal(services: SubmitServices, new: Sequence[NewGeneration]) -> None:
    """Raise what stood in the way; return if nothing does any more."""
    row, count = await services.db.one("limits", new[0], _Limits), len(new)
    if row is None:
        raise ServiceUnavailable
    if count > 1 and count > (most := min(row.rate_limit, row.concurrency)):
        raise InvalidParameter(f"{count} at once are more than this workspace may have. Use {most} at most.", param="n")
    if row.rate_used + count > row.rate_limit:
        raise RateLimited(
            f"The limit of {row.rate_limit} {new[0].type} generations a minute is reached.",
            retry_after_seconds=row.reset_in_seconds,
        )
    if row.in_flight + count > row.concurrency:
        raise RateLimited(f"{row.in_flight} generations are under way, the most at once. Wait for one to end.")
    if row.available_nanos < sum(each.held_nanos for each in new):
        raise QuotaExceeded
