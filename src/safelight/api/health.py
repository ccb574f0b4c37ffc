"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

import structlog
from psycopg.errors import UndefinedTable
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.books import recorded_problems
from safelight.api.answer import json_response
from safelight.api.auth import api_state
from safelight.api.dialect import Route
from safelight.db.migrate import newest_revision
from safelight.domain.errors import ServiceUnavailable
from safelight.keeping.services import KeepingServices as Services

log = structlog.get_logger()


async def healthz(_: Request) -> Response:
    """The process lives."""
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """The database, its migrations and the store are there, and the books balanced when last checked."""
    services = api_state(request).keeping
    checks = {**await _check_database(services), "store": await _check_store(services)}
    is_ready = all(value == "ok" for value in checks.values())
    body = {"status": "ok" if is_ready else "not ready", "checks": checks}
    return json_response(body, status=200 if is_ready else 503)


async def _check_database(services: Services) -> dict[str, str]:
    try:
        row = await services.db.one("database_revision", {}, tuple)
        if row is None or row[0] != newest_revision():
            return {"database": "ok", "migrations": "pending: run 'safelight migrate'"}
        problems = await recorded_problems(services.db)
    except ServiceUnavailable:
        return {"database": "away"}
    except UndefinedTable:
        return {"database": "ok", "migrations": "pending: run 'safelight migrate'"}
    return {"database": "ok", "migrations": "ok", "books": "; ".join(problems) or "ok"}


async def _check_store(services: Services) -> str:
    try:
        await services.store.probe()
    except ServiceUnavailable as error:
        log.error("the media store is away", reason=error.message)
        return "away"
    return "ok"


ROUTES = (
    Route("GET", "/healthz", healthz, needs_key=False),
    Route("GET", "/readyz", readyz, needs_key=False),
)
