"""A runner's hold on one generation: what it is to make, and the token that lets it write."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from safelight.domain.catalog import BillableUnit
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Handle
from safelight.domain.pricing import Price
from safelight.domain.request import Spec


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """Which backend an order is for, as the row has it: a connection by name, the backend's own name for the model, and
    the binding's options."""

    connection: str
    upstream_model: str
    options: dict[str, Any]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner needs to go on where the last one stopped.

    ``was_submitted``: an earlier runner was about to call the backend, or did, at ``submitted_at``. ``intent``:
    which one; None where it was never said, or by a node of the release before, which knew a binding by its place
    in the catalog alone (``binding_place``). ``is_intent_recorded``: this runner's own call is on record already.
    ``handle``: the job that the backend gave. ``attempts``: this runner and those that were lost before it.
    ``tries``: orders of it that came to nothing, as backends said. ``traceparent``: where its submission was traced, if
    it was. ``claimed_at``: when, by this machine's monotonic clock.
    """

    id: str
    workspace_id: int
    type: GenerationType
    model: str
    spec: Spec
    price: Price
    run_token: uuid.UUID
    intent: Intent | None
    binding_place: int
    was_submitted: bool
    submitted_at: datetime | None
    is_intent_recorded: bool
    handle: Handle | None
    is_unknown: bool
    is_cancel_requested: bool
    attempts: int
    remaining_seconds: float
    tries: int = 0
    traceparent: str | None = None
    claimed_at: float = msgspec.field(default_factory=time.monotonic)

    @property
    def seconds_since_accepted(self) -> float | None:
        """Of a generation that was born claimed; None of another: its runner answers nobody."""
        return time.monotonic() - self.claimed_at if self.is_intent_recorded else None


class ClaimedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement ``claim`` answers."""

    id: str
    workspace_id: int
    type: str
    model: str
    request: dict[str, Any]
    state: str
    attempts: int
    was_submitted: bool
    submitted_seconds_ago: float | None
    connection: str | None
    upstream_model: str | None
    binding_options: dict[str, Any] | None
    binding: int
    handle: Handle | None
    is_cancel_requested: bool
    billable_unit: BillableUnit
    unit_price_nanos: int
    quantity: int
    retention_seconds: int
    run_token: uuid.UUID
    remaining_seconds: float
    age_seconds: float
    tries: int
    traceparent: str | None

    def claim(self) -> Claim:
        return Claim(
            id=self.id,
            workspace_id=self.workspace_id,
            type=GenerationType(self.type),
            model=self.model,
            spec=msgspec.convert(self.request, Spec),
            price=Price(
                billable_unit=self.billable_unit, unit_price_nanos=self.unit_price_nanos, quantity=self.quantity
            ),
            run_token=self.run_token,
            intent=self._intent(),
            binding_place=self.binding,
            was_submitted=self.was_submitted,
            submitted_at=self._submitted_at(),
            is_intent_recorded=False,
            handle=self.handle,
            is_unknown=self.state == "unknown",
            is_cancel_requested=self.is_cancel_requested,
            attempts=self.attempts,
            remaining_seconds=self.remaining_seconds,
            tries=self.tries,
            traceparent=self.traceparent,
        )

    def _submitted_at(self) -> datetime | None:
        """By this machine's clock, which an adapter holds it against: the database may have another."""
        if self.submitted_seconds_ago is None:
            return None
        return datetime.now(UTC) - timedelta(seconds=self.submitted_seconds_ago)

    def _intent(self) -> Intent | None:
        if self.connection is None or self.upstream_model is None or self.binding_options is None:
            return None
        return Intent(connection=self.connection, upstream_model=self.upstream_model, options=self.binding_options)
