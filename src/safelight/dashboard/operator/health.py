"""What a running system needs, tried when it is asked for; and the books."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.accounts.books import check_and_record_all_books, last_check
from safelight.api.dialect import Route
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.roles import Role
from safelight.node.checks import Check

_HERE = f"{PREFIX}/operator/health"


async def show(request: Request) -> Response:
    """What the last check of the books found; nothing is tried by looking at the page."""
    return await _page(visit_of(request))


async def run_checks(request: Request) -> Response:
    """Try everything now, each for some seconds at most."""
    visit = visit_of(request)
    return await _page(visit, checks=await visit.site.inspect(visit.state.keeping))


async def check_books(request: Request) -> Response:
    """Check all of the books now, also what was verified and closed before."""
    visit = visit_of(request)
    try:
        books = await check_and_record_all_books(visit.operator, visit.state.keeping.db)
    except ServiceUnavailable:
        return visit.redirect("/operator/health", said="books_too_long")
    await visit.audit(Action.BOOKS_CHECK, "all", {"balances": books.balances}, scope=visit.operator)
    return visit.redirect("/operator/health", said="books_all_checked")


async def _page(visit: Visit, *, checks: list[Check] | None = None) -> Response:
    books = await last_check(visit.operator, visit.state.keeping.db)
    return visit.page("operator/health.html", checks=checks, books=books, now=datetime.now(UTC))


ROUTES = (
    Route("GET", _HERE, show, role=Role.OPERATOR),
    Route("POST", _HERE, run_checks, role=Role.OPERATOR),
    Route("POST", f"{_HERE}/books", check_books, role=Role.OPERATOR),
)
