"""How far a picture is while its order is being answered, and whether somebody stopped it halfway.

What the server tells of itself is of whatever it makes, for anybody. So it is asked by the order's own id, or believed
where the connection says that nobody else orders there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from safelight.domain.ports import Job
from safelight.outbound.backend_api import BackendApi, Reply
from safelight.providers.a1111.answers import part_of_one
from safelight.providers.a1111.settings import Quirks

PAUSE_SECONDS = 1.0
_SECONDS = 10.0
_MAX_BYTES = 4 * 1024 * 1024


@asynccontextmanager
async def watched(api: BackendApi, job: Job[Any], quirks: Quirks) -> AsyncIterator[None]:
    """Tell of progress meanwhile, if the server has it told."""
    if quirks.progress == "none":
        yield
        return
    watching = asyncio.create_task(_watch(api, job, by_task=quirks.progress == "task"))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def was_stopped(api: BackendApi, job_timestamp: str) -> bool:
    """Whether the newest picture there is this one, and somebody interrupted or skipped it: then it is half made."""
    state = _state(await _progress(api))
    is_ours = state.get("job_timestamp") == job_timestamp
    return is_ours and (state.get("interrupted") is True or state.get("skipped") is True)


async def _watch(api: BackendApi, job: Job[Any], *, by_task: bool) -> None:
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        told = await (_task(api, job.id) if by_task else _progress(api))
        if told is None:
            return
        if by_task and told.get("active") is not True:
            continue
        if (part := part_of_one(told.get("progress"))) is not None:
            job.progress(part)


async def _progress(api: BackendApi) -> dict[str, Any] | None:
    query = {"skip_current_image": "true"}
    return _read(
        await api.call("GET", "/sdapi/v1/progress", query=query, deadline_seconds=_SECONDS, max_bytes=_MAX_BYTES)
    )


async def _task(api: BackendApi, task_id: str) -> dict[str, Any] | None:
    asked = {"id_task": task_id, "live_preview": False}
    return _read(
        await api.call("POST", "/internal/progress", json=asked, deadline_seconds=_SECONDS, max_bytes=_MAX_BYTES)
    )


def _read(exchange: object) -> dict[str, Any] | None:
    """None: it does not tell, and need not be asked again."""
    document = exchange.json() if isinstance(exchange, Reply) and exchange.is_ok else None
    return document if isinstance(document, dict) else None


def _state(told: dict[str, Any] | None) -> dict[str, Any]:
    state = None if told is None else told.get("state")
    return state if isinstance(state, dict) else {}
