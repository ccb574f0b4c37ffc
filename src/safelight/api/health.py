"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import api_state
from safelight.api.dialect import Route
from safelight.keeping.readiness import readiness


async def healthz(_: Request) -> Response:
    """The process lives."""
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """The database, its migrations and the store are there, and the books balanced when last checked."""
    checks = await readiness(api_state(request).keeping)
    body = {"status": "ok" if checks.is_ready else "not ready", "checks": checks}
    return json_response(body, status=200 if checks.is_ready else 503)


ROUTES = (
    Route("GET", "/healthz", healthz, needs_key=False),
    Route("GET", "/readyz", readyz, needs_key=False),
)
