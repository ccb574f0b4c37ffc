"""Step eight: find generations that lost their runner or wait to be looked at, and see to them."""

from __future__ import annotations

import structlog

from safelight.db.pool import every
from safelight.domain.errors import GenerationFailed, ServiceUnavailable
from safelight.lifecycle import settle
from safelight.lifecycle.reports import report_of
from safelight.lifecycle.run import claim
from safelight.lifecycle.services import RunServices
from safelight.node.killpoints import killpoint
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()


async def reconcile(services: RunServices) -> None:
    """Fail what is past its deadline, releasing its hold; give the rest that is due a new runner."""
    await _fail_overdue(services)
    await _requeue_due(services)


async def _fail_overdue(services: RunServices) -> None:
    for (generation_id,) in await services.db.all("list_overdue", {}, tuple):
        try:
            await _fail(services, generation_id)
        except ServiceUnavailable:
            raise
        except Exception as error:  # one that cannot be read holds up no other
            log.error("generation past its deadline cannot be ended", id=generation_id, **without_message(error))


async def _fail(services: RunServices, generation_id: str) -> None:
    claimed = await claim(services, generation_id)
    if claimed is not None:
        log.warning("generation passed its deadline", id=generation_id, state_was_unknown=claimed.is_unknown)
        report = report_of("failed", None, None, detail="the deadline passed, and no runner had it")
        await settle.fail(services.db, claimed, GenerationFailed(), report=report)


async def _requeue_due(services: RunServices) -> None:
    async with services.db.connection() as connection, connection.transaction():
        due = await every(connection, "requeue_due", {}, tuple)
        for generation_id, model_id in due:
            await services.enqueue(connection, generation_id, model_id)
        if due:
            killpoint("requeue-before-commit")
    if due:
        killpoint("requeue-after-commit")
    for generation_id, _ in due:
        log.warning("generation is queued again", id=generation_id)
