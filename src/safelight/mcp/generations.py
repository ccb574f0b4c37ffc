"""How a generation stands, followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from safelight.domain.text import quoted
from safelight.mcp.api import Api, Json, Refused

Report = Callable[[float, str], Awaitable[None]]
"""Is told how far a generation is, from 0 to 1, and a sentence on it."""


async def look(api: Api, generation_id: str) -> Json:
    """A generation as it stands, of either type. Raises ``Refused``."""
    return await follow(api, generation_id, 0, _tell_nobody)


async def follow(api: Api, generation_id: str, wait_seconds: float, report: Report) -> Json:
    """A generation at its end, or as it stands when the time is up. Raises ``Refused`` if it cannot be seen at all."""
    found: Json | None = None
    try:
        async with asyncio.timeout(wait_seconds or None), aclosing(_events(api, generation_id)) as events:
            async for name, event in events:
                found = event
                if name != "progress" or not wait_seconds:
                    break
                await report(event["progress"], f"{generation_id} is {event['progress']:.0%} made.")
    except TimeoutError:
        pass
    except Refused:
        if found is None:
            raise
    return found or {"id": generation_id, "status": "pending"}


def _events(api: Api, generation_id: str) -> Any:
    if not generation_id.isascii() or not generation_id.replace("-", "").isalnum():
        raise Refused(
            f"There is no generation {quoted(generation_id)}. Give the id (req-...) that an answer told.",
            code="not_found",
            param="id",
        )
    return api.events(f"/v2/generations/{generation_id}/events")


async def of_key(api: Api, key: str) -> Json | None:
    """The generation that an idempotency key stands for; None if there is none yet. Raises ``Refused``."""
    found = cast(Json, await api.get("/v2/generations", {"idempotency_key": key}))["data"]
    return found[0] if found else None


async def _tell_nobody(progress: float, message: str) -> None:
    pass
