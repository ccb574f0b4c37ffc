"""What was spent: by day, model, key, type and end user, with its proof; the balance, and how long it will do.

Every figure is a sum that the database made over all that is on record, and leads to the jobs that it is made of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.accounts.books import check_and_record_books, last_check
from safelight.accounts.credit import credit_history
from safelight.accounts.spend import (
    FEWEST_DAYS_WITH_COSTS,
    PACE_DAYS,
    SpendRow,
    count_refusals,
    find_standing,
    prove_spend,
)
from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.filters import key_names
from safelight.dashboard.reading import days, query_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.spend.charts import stack
from safelight.dashboard.spend.query import (
    GROUPINGS,
    Question,
    answer,
    given_fields,
    jobs_address,
    lines,
    presets,
    read_question,
    series_names,
    total_line,
)
from safelight.dashboard.templates import usd
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import InvalidParameter, ServiceUnavailable
from safelight.domain.money import as_decimal
from safelight.domain.roles import Role
from safelight.domain.scope import OPERATOR

_NAMES_ON_A_PAGE = 200
_CREDIT_ON_A_PAGE = 10
_NANOS_PER_THOUSANDTH = 1_000_000  # thousandths are written as amounts are

log = structlog.get_logger()
_checking = asyncio.Lock()


async def show(request: Request) -> Response:
    """The page; where the address asks for what cannot be, the same page says what is wrong with it."""
    visit = visit_of(request)
    around = await _around(visit)
    try:
        question = await read_question(visit, query_fields(request))
        figures = await _figures(visit, question)
    except InvalidParameter as error:
        return visit.page("spend/spend.html", status=400, problem=error, given=given_fields(request), **around)
    return visit.page("spend/spend.html", problem=None, given=question.query, **around, **figures)


async def _figures(visit: Visit, question: Question) -> dict[str, Any]:
    """What the page shows of the range."""
    spend = await answer(visit, question, most=_NAMES_ON_A_PAGE)
    scope, db = visit.principal.scope, visit.state.keeping.db
    check = await last_check(OPERATOR, db)
    return {
        "question": question,
        "spend": spend,
        "series": series_names(question, spend),
        "costs": stack(spend.series_nanos, [f"{row.date}: {usd(row.cost_nanos)}" for row in spend.days]),
        "counts": stack(
            [(row.completed, row.failed) for row in spend.days],
            [f"{row.date}: {row.completed} completed, {row.failed} failed" for row in spend.days],
        ),
        "lines": lines(visit, question, spend),
        "total": total_line(visit, question, spend),
        "refusals": [
            (each, jobs_address(visit, question, ("refused",), each.reason))
            for each in await count_refusals(scope, db, question.first, question.last, part=question.part)
        ],
        "check": check,
        "drifted": check.problems_of(visit.principal.workspace) if check else [],
    }


async def _around(visit: Visit) -> dict[str, Any]:
    """What stands on the page whatever the address asks for."""
    scope, db = visit.principal.scope, visit.state.keeping.db
    today = datetime.now(UTC).date()
    credit = await credit_history(scope, db)
    standing = await find_standing(scope, db)
    return {
        "groupings": GROUPINGS,
        "presets": presets(today),
        "models": list(visit.state.submitting.catalog.models),
        "keys": await key_names(visit),
        "standing": standing,
        "holds": [
            ("queued", standing.queued, standing.queued_nanos),
            ("running", standing.running, standing.running_nanos),
            ("unknown", standing.unknown, standing.unknown_nanos),
        ],
        "pace_days": PACE_DAYS,
        "fewest_days": FEWEST_DAYS_WITH_COSTS,
        "low_balance_nanos": visit.state.submitting.limits.low_balance_nanos,
        "credit": credit[:_CREDIT_ON_A_PAGE],
        "credit_count": len(credit),
    }


async def prove(request: Request) -> Response:
    """The proof of a range: three accounts of it, read at one moment. A piece, or a page for who has no scripts."""
    visit = visit_of(request)
    first, last = days(query_fields(request))
    try:
        proof = await prove_spend(visit.principal.scope, visit.state.keeping.db, first, last)
    except ServiceUnavailable:
        proof = None  # more is on record than can be read while somebody waits
    now = datetime.now(UTC)
    return visit.page("spend/proof.html", block="proof", proof=proof, first=first, last=last, now=now)


async def check(request: Request) -> Response:
    """Check the books now: what came since they were last closed, for as long as any page may ask the database."""
    visit = visit_of(request)
    if _checking.locked():
        return visit.redirect("/spend", said="books_being_checked")
    async with _checking:
        try:
            books = await check_and_record_books(visit.operator, visit.state.keeping.db)
        except ServiceUnavailable:
            return visit.redirect("/spend", said="books_not_checked")
    await visit.audit(Action.BOOKS_CHECK, "all", {"balances": books.balances}, scope=visit.operator)
    if not books.balances:
        log.error("the books do not balance", remedy="run 'safelight books --all'")
    return visit.redirect("/spend", said="books_checked")


Table = tuple[Sequence[str], list[dict[str, Any]]]


async def _give_file(make: Callable[[Visit, Question], Awaitable[Table]], request: Request) -> Response:
    """One of the page's tables as a file."""
    visit = visit_of(request)
    question = await read_question(visit, query_fields(request))
    columns, rows = await make(visit, question)
    name = request.url.path.rpartition("/")[2].partition(".")[0]
    return export(request, f"{name}-{visit.principal.workspace}-{question.first}-{question.last}", columns, rows)


async def _spend_file(visit: Visit, question: Question) -> Table:
    """The table: a line for each day or name."""
    spend = await answer(visit, question, most=MOST_ROWS - 1)
    rows = [{question.by: line.name, **_sums(line.sums)} for line in lines(visit, question, spend)]
    return (question.by, "completed", "failed", "images", "video_seconds", "cost"), rows


async def _days_file(visit: Visit, question: Question) -> Table:
    """What the charts show: a line for each day, a column for each series."""
    spend = await answer(visit, question, most=1)
    names = [f"cost of {name}" for name in series_names(question, spend)]
    rows = [
        {"day": row.date, **dict(zip(names, map(as_decimal, of_day), strict=True)), **_sums(row)}
        for row, of_day in zip(spend.days, spend.series_nanos, strict=True)
    ]
    return ("day", *names, "cost", "completed", "failed"), rows


async def _credit_file(visit: Visit, question: Question) -> Table:
    entries = await credit_history(visit.principal.scope, visit.state.keeping.db)
    rows = [{"at": each.created_at, "amount": as_decimal(each.amount_nanos), "reason": each.reason} for each in entries]
    return ("at", "amount", "reason"), rows[:MOST_ROWS]


async def _refused_file(visit: Visit, question: Question) -> Table:
    scope, db = visit.principal.scope, visit.state.keeping.db
    found = await count_refusals(scope, db, question.first, question.last, part=question.part)
    return ("reason", "count"), [msgspec.structs.asdict(each) for each in found]


_TABLES = {
    "/spend": _spend_file,
    "/spend/days": _days_file,
    "/spend/credit": _credit_file,
    "/spend/refused": _refused_file,
}


def _sums(row: SpendRow) -> dict[str, Any]:
    return {
        "completed": row.completed,
        "failed": row.failed,
        "images": as_decimal(row.image_thousandths * _NANOS_PER_THOUSANDTH),
        "video_seconds": as_decimal(row.second_thousandths * _NANOS_PER_THOUSANDTH),
        "cost": as_decimal(row.cost_nanos),
    }


ROUTES = (
    Route("GET", f"{PREFIX}/spend", show),
    Route("GET", f"{PREFIX}/spend/proof", prove),
    Route("POST", f"{PREFIX}/spend/check", check, role=Role.OPERATOR),
    *(route for path, make in _TABLES.items() for route in routes_of_files(path, partial(_give_file, make))),
)
