"""A runner's hold on one generation: what it is to make, and the token that lets it write."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Handle
from safelight.domain.pricing import Price
from safelight.domain.request import Spec


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner needs to go on where the last one stopped.

    ``was_submitted``: an earlier runner was about to call the backend, or did. ``is_intent_recorded``: this runner's
    own call is on record already. ``handle``: the job that the backend gave. ``attempts``: this runner and those that
    were lost before it. ``claimed_at``: when, by this machine's monotonic clock.
    """

    id: str
    workspace_id: int
    type: GenerationType
    model: str
    spec: Spec
    price: Price
    run_token: uuid.UUID
    binding: int
    was_submitted: bool
    is_intent_recorded: bool
    handle: Handle | None
    is_unknown: bool
    is_cancel_requested: bool
    attempts: int
    remaining_seconds: float
    claimed_at: float = msgspec.field(default_factory=time.monotonic)

    @classmethod
    def of_new_image(cls, params: Mapping[str, Any], spec: Spec) -> Claim:
        """The claim that an image is born with. Its intent is on record, and no backend was called yet."""
        return cls(
            id=params["id"],
            workspace_id=params["workspace_id"],
            type=GenerationType.IMAGE,
            model=params["model"],
            spec=spec,
            price=Price(
                billable_unit=params["billable_unit"],
                unit_price_nanos=params["unit_price_nanos"],
                quantity=params["quantity"],
            ),
            run_token=params["run_token"],
            binding=0,
            was_submitted=False,
            is_intent_recorded=True,
            handle=None,
            is_unknown=False,
            is_cancel_requested=False,
            attempts=1,
            remaining_seconds=float(params["deadline_seconds"]),
        )


class ClaimedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement ``claim`` answers."""

    id: str
    workspace_id: int
    type: str
    model: str
    request: dict[str, Any]
    state: str
    attempts: int
    binding: int
    was_submitted: bool
    handle: Handle | None
    is_cancel_requested: bool
    billable_unit: str
    unit_price_nanos: int
    quantity: int
    retention_seconds: int
    run_token: uuid.UUID
    remaining_seconds: float

    def claim(self) -> Claim:
        return Claim(
            id=self.id,
            workspace_id=self.workspace_id,
            type=GenerationType(self.type),
            model=self.model,
            spec=msgspec.convert(self.request, Spec),
            price=msgspec.convert(
                {
                    "billable_unit": self.billable_unit,
                    "unit_price_nanos": self.unit_price_nanos,
                    "quantity": self.quantity,
                },
                Price,
            ),
            run_token=self.run_token,
            binding=self.binding,
            was_submitted=self.was_submitted,
            is_intent_recorded=False,
            handle=self.handle,
            is_unknown=self.state == "unknown",
            is_cancel_requested=self.is_cancel_requested,
            attempts=self.attempts,
            remaining_seconds=self.remaining_seconds,
        )
