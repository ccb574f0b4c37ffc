"""What waits, what is under way, and who works on it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.reading import Fields, query_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.roles import Role
from safelight.lifecycle.processes import list_processes
from safelight.lifecycle.queue_views import Work, count_by_minute, count_under_way, list_under_way, list_waiting

_PATH = "/operator/queue"
_HERE = f"{PREFIX}{_PATH}"
_SHOWN = ("queued", "running", "unknown", "stuck")
_MOST_SHOWN = 100
_COLUMNS = (
    "id",
    "workspace",
    "type",
    "model",
    "state",
    "created_at",
    "submitted_at",
    "deadline",
    "lease_until",
    "wake_at",
    "attempts",
    "tries",
    "runner",
    "connection",
    "next_step",
)
_CHART_WIDTH, _CHART_HEIGHT = 480, 48


async def show(request: Request) -> Response:
    """The queues, the processes and what they have; it is fetched anew while somebody looks at it."""
    visit, fields = visit_of(request), query_fields(request)
    db = visit.state.keeping.db
    under_way = await count_under_way(visit.operator, db)
    work = await _work(visit, fields, most=_MOST_SHOWN + 1)
    minutes = await count_by_minute(visit.operator, db)
    most = max(each.generations for each in minutes)
    step = _CHART_WIDTH / len(minutes)
    return visit.page(
        "operator/queue.html",
        block="live",
        waiting=await list_waiting(visit.operator, db),
        under_way=under_way,
        processes=await list_processes(visit.operator, db),
        work=work[:_MOST_SHOWN],
        has_more=len(work) > _MOST_SHOWN,
        shown=_SHOWN,
        given={"show": fields.text("show"), "of": fields.text("of")},
        unknown=sum(each.generations for each in under_way if each.state == "unknown"),
        lease_over=sum(each.lease_over for each in under_way),
        overdue=sum(each.overdue for each in under_way),
        total=sum(each.generations for each in under_way),
        minutes=minutes,
        most_a_minute=most,
        last_hour=sum(each.generations for each in minutes),
        width=_CHART_WIDTH,
        height=_CHART_HEIGHT,
        bars=[
            (round(place * step, 1), round(step - 1, 1), round(_CHART_HEIGHT * each.generations / most, 1))
            for place, each in enumerate(minutes)
            if each.generations
        ],
    )


async def give_file(request: Request) -> Response:
    """What is under way, as a file."""
    visit = visit_of(request)
    rows = [
        {column: getattr(each, column) for column in _COLUMNS}
        for each in await _work(visit, query_fields(request), most=MOST_ROWS)
    ]
    return export(request, "under-way", _COLUMNS, rows)


async def _work(visit: Visit, fields: Fields, *, most: int) -> list[Work]:
    show = fields.choice("show", _SHOWN)
    return await list_under_way(
        visit.operator,
        visit.state.keeping.db,
        state=None if show == "stuck" else show,
        workspace=fields.text("of").strip().replace("\0", "") or None,
        is_stuck=show == "stuck",
        most=most,
    )


ROUTES = (
    Route("GET", _HERE, show, role=Role.OPERATOR),
    *routes_of_files(_PATH, give_file, Role.OPERATOR),
)
