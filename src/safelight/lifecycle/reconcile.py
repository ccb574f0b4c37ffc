"""Step eight: find generations that lost their runner, and give them a new one."""

from __future__ import annotations

import structlog

from safelight.db.pool import every
from safelight.lifecycle.services import Services

log = structlog.get_logger()


async def reconcile(services: Services) -> int:
    """Put a job on the queue for each generation that nobody runs. The number of them."""
    async with services.db.connection() as connection, connection.transaction():
        orphans = await every(connection, "requeue_abandoned", {}, tuple)
        for generation_id, model_id in orphans:
            await services.enqueue(connection, generation_id, model_id)
    for generation_id, _ in orphans:
        log.warning("generation lost its runner and is queued again", id=generation_id)
    return len(orphans)
