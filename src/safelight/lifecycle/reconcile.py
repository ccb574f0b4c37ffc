"""Step eight: find generations that lost their runner or wait to be looked at, and see to them."""

from __future__ import annotations

import asyncio

import structlog

from safelight.db.pool import every
from safelight.domain.errors import GenerationFailed, ServiceUnavailable
from safelight.lifecycle import settle
from safelight.lifecycle.reports import report_of
from safelight.lifecycle.run import claim, loss_of_unknown, traced, was_asked_once
from safelight.lifecycle.services import RunServices
from safelight.node.killpoints import killpoint
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

_MOST_AT_ONCE = 500
_GRACE_SECONDS = 5.0
"""What those who hold a lease have to come back, at most, after PostgreSQL was started."""


async def reconcile(services: RunServices) -> None:
    """Fail what is past its deadline, releasing its hold; give the rest that is due a new runner."""
    await _fail_overdue(services)
    await _requeue_due(services)


async def _fail_overdue(services: RunServices) -> None:
    for generation_id, why_left in await services.db.all("list_overdue", {}, tuple):
        try:
            await _fail(services, generation_id, why_left)
        except ServiceUnavailable:
            raise
        except Exception as error:  # one that cannot be read holds up no other
            log.error("generation past its deadline cannot be ended", id=generation_id, **without_message(error))


async def _fail(services: RunServices, generation_id: str, why_left: str | None) -> None:
    claimed = await claim(services, generation_id)
    if claimed is not None:
        why = "no runner had it" if why_left is None else f"no worker could run it: {why_left}"
        log.warning("generation passed its deadline", id=generation_id, state_was_unknown=claimed.is_unknown, why=why)
        report = report_of("failed", None, None, detail=f"the deadline passed, and {why}")
        may_be_made = was_asked_once(services, claimed)
        loss = loss_of_unknown(services, claimed) if may_be_made else None
        with traced(claimed):
            await settle.fail(
                services.db, claimed, GenerationFailed(), report=report, may_be_made=may_be_made, loss=loss
            )


async def _requeue_due(services: RunServices) -> None:
    dead = await asyncio.to_thread(services.presence.dead_here)
    params = {
        "dead": dead,
        "absent": await _absent(services),
        "silent_seconds": services.limits.lease_seconds / 2,
        "most": _MOST_AT_ONCE,
        "grace_seconds": min(services.limits.lease_seconds / 2, _GRACE_SECONDS),
    }
    async with services.db.connection() as connection, connection.transaction():
        due = await every(connection, "requeue_due", params, tuple)
        for generation_id, model_id in due:
            await services.enqueue(connection, generation_id, model_id)
        if due:
            killpoint("requeue-before-commit")
    if due:
        killpoint("requeue-after-commit")
    for generation_id, _ in due:
        log.warning("generation is queued again", id=generation_id)
    if len(due) < _MOST_AT_ONCE:
        await asyncio.to_thread(services.presence.bury, dead)


async def _absent(services: RunServices) -> list[str]:
    """Runners whose sessions have ended while ours stood; all end together where the database was away."""
    if services.changes.heard_seconds < services.limits.lease_seconds / 2:
        return []
    rows = await services.db.all("absent_runners", {"judge": services.presence.runner}, tuple)
    return [runner for (runner,) in rows]
