"""A backend tells that something happened to a job: whoever runs it asks sooner. Nothing else comes of it.

What a backend says here is never believed, whoever it is: the next answer to a question of ours tells what happened.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from safelight.domain.errors import ConfigurationError, ServiceUnavailable
from safelight.domain.ports import Callback, Hintable
from safelight.lifecycle.changes import Hinted
from safelight.lifecycle.services import RunServices
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

LEAST_PAUSE_SECONDS = 1.0
"""A job is not asked about sooner than that after it was, whatever its backend tells."""


async def take_hint(services: RunServices, connection: str, callback: Callback) -> None:
    """Pass on what a backend sent to the address of a job, if its adapter takes it for news. Raises nothing."""
    try:
        provider = services.backends.open(connection).provider
        is_news = isinstance(provider, Hintable) and await provider.hint(callback)
    except ConfigurationError:
        return  # the catalog has it no more
    except Exception as error:
        log.error("provider broke in hint", connection=connection, **without_message(error))
        return
    if is_news:
        generation_id = callback.job_id.partition(".")[0]
        with contextlib.suppress(ServiceUnavailable):
            await services.db.one("tell_hint", {"id": generation_id}, tuple)


async def pause(hinted: Hinted, seconds: float) -> None:
    """Wait for so long, or until there is a hint."""
    least = min(seconds, LEAST_PAUSE_SECONDS)
    await asyncio.sleep(least)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds - least):
            await hinted.wait()
