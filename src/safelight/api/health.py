"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

import structlog
from litestar import Response, get
from psycopg.errors import UndefinedTable

from safelight.accounts.books import recorded_problems
from safelight.api.answer import json_response
from safelight.api.auth import api_state
from safelight.api.submission import HttpRequest
from safelight.db.migrate import newest_revision
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.scope import OPERATOR
from safelight.keeping.services import KeepingServices as Services

log = structlog.get_logger()


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@get("/readyz")
async def readyz(request: HttpRequest) -> Response[bytes]:
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
        problems = await recorded_problems(OPERATOR, services.db)
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
