"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from litestar import Response, get

from safelight.api.answer import json_response
from safelight.api.generations import HttpRequest
from safelight.api.state import api_state
from safelight.db.migrate import newest_revision
from safelight.domain.errors import ServiceUnavailable


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@get("/readyz")
async def readyz(request: HttpRequest) -> Response[bytes]:
    """The database, its migrations and the store are there."""
    services = api_state(request).services
    checks: dict[str, str] = {}
    try:
        revision = await services.db.one("database_revision", {}, tuple)
        newest = newest_revision()
        at = revision[0] if revision else None
        checks["database"] = "ok"
        checks["migrations"] = "ok" if at == newest else f"at {at}, need {newest}: run 'safelight migrate'"
    except ServiceUnavailable:
        checks["database"] = "away"
    try:
        await services.store.probe()
        checks["store"] = "ok"
    except ServiceUnavailable as error:
        checks["store"] = error.message
    is_ready = all(value == "ok" for value in checks.values())
    body = {"status": "ok" if is_ready else "not ready", "checks": checks}
    return json_response(body, status=200 if is_ready else 503)
