"""Whether the process lives, and whether it can serve. Whoever asks is answered, however many others do."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import api_state
from safelight.api.dialect import Route
from safelight.keeping.readiness import Readiness, readiness
from safelight.keeping.services import KeepingServices

_looks: dict[int, asyncio.Task[Readiness]] = {}


async def healthz(_: Request) -> Response:
    """The process lives."""
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """The database, its migrations and the store are there, and the books balanced when last checked."""
    checks = await _look(api_state(request).keeping)
    body = {"status": "ok" if checks.is_ready else "not ready", "checks": checks}
    return json_response(body, status=200 if checks.is_ready else 503)


async def _look(services: KeepingServices) -> Readiness:
    """One look for all who ask while it takes."""
    which = id(services)
    if which not in _looks:
        _looks[which] = asyncio.create_task(readiness(services), name="readiness")
        _looks[which].add_done_callback(lambda _: _looks.pop(which))
    return await asyncio.shield(_looks[which])


ROUTES = (
    Route("GET", "/healthz", healthz, needs_key=False),
    Route("GET", "/readyz", readyz, needs_key=False),
)

PATHS = frozenset(route.path for route in ROUTES)
