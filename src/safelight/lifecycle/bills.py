"""What a backend bills us for an order: of what was made, and of what nobody is charged for."""

from __future__ import annotations

import msgspec

from safelight.domain.outcomes import Answer
from safelight.domain.pricing import THOUSANDTHS, cost_of
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.reports import MAX_NAME_BYTES, as_kept
from safelight.lifecycle.targets import Target


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """An order that a backend bills, or may have billed, and that no customer is charged for.

    ``cost_nanos`` None: it is not known what it cost. ``reason``: ``failed``, ``canceled``, ``undelivered``, or
    ``unknown`` where the backend may have made it.
    """

    connection: str
    upstream_model: str
    reason: str
    cost_nanos: int | None
    request_id: str | None = None


def loss_of(claim: Claim, target: Target, answer: Answer, reason: str, *, is_billed: bool = False) -> Loss | None:
    """What an order costs us that came to nothing, if the backend says that it bills it, or it must (``is_billed``)."""
    binding = target.binding
    says_so = answer.is_billed or (answer.is_billed is None and (answer.cost_nanos or 0) > 0)
    if not says_so and (answer.is_billed is False or not is_billed):
        return None
    cost_nanos = cost_of(binding, answer, claim.spec.resolution, claim.price.quantity * THOUSANDTHS)
    if cost_nanos is None and not says_so:
        return None  # nobody states what it costs: that is a backend of our own
    return Loss(
        connection=binding.connection,
        upstream_model=binding.upstream_model,
        reason=reason,
        cost_nanos=cost_nanos,
        request_id=as_kept(answer.request_id, target.backend.every_secret(), MAX_NAME_BYTES),
    )
