"""The jobs of a workspace, newest first and live, and the requests that never became one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.filters import WAYS_IN, given, key_name, key_names, read_key
from safelight.dashboard.reading import Fields, moments, query_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import visit_of
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType, State
from safelight.domain.ids import is_generation_id
from safelight.domain.money import as_decimal
from safelight.domain.text import quoted
from safelight.lifecycle.job_views import Job, JobFilter, JobPage, list_jobs

REFUSED = "refused"
_STATES: dict[str, tuple[State, ...]] = {
    "under_way": (State.QUEUED, State.RUNNING, State.UNKNOWN),
    **{str(state): (state,) for state in State},
}
_FIELDS = ("type", "model", "key", "way_in", "end_user", "first", "last", "dates")
_A_PAGE = 50
_MOST_WALKS = 100
_COLUMNS = (
    "id",
    "created_at",
    "finished_at",
    "took_seconds",
    "state",
    "type",
    "model",
    "key_id",
    "key",
    "way_in",
    "held",
    "cost",
    "error_code",
    "error_message",
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for. ``keys``: the names of the workspace's keys, by number."""

    which: JobFilter
    before: str | None
    keys: dict[int, str]

    def key_name(self, key_id: int | None) -> str:
        """What the page calls a key."""
        return key_name(self.keys, key_id)


async def show(request: Request) -> Response:
    """The list; where the address asks for what cannot be, the same page says what is wrong with it.

    Those that were refused are a list of their own.
    """
    visit = visit_of(request)
    fields = query_fields(request)
    words = state_words(fields)
    if words == [REFUSED]:
        return visit.redirect(
            "/jobs/refused", {name: each for name, each in request.query_params.items() if name != "state"}
        )
    names = await key_names(visit)
    shown = {**given(visit, _FIELDS), "state": ",".join(words)}
    try:
        asked = _read(fields, names)
        page = await list_jobs(visit.principal.scope, visit.state.keeping.db, asked.which, before=asked.before)
        problem, status = None, 200
    except InvalidParameter as error:
        asked = Asked(which=JobFilter(), before=None, keys=names)
        page, problem, status = JobPage(jobs=(), older=None), error, 400
    return visit.page(
        "jobs/jobs.html",
        block="list",
        status=status,
        asked=asked,
        page=page,
        problem=problem,
        given=shown,
        is_filtered=any(shown[name] for name in ("state", *_FIELDS)),
        address=visit.link("/jobs"),
        states=_state_choices(shown["state"]),
        ways_in=WAYS_IN,
        models=list(visit.state.submitting.catalog.models),
        names=names,
    )


async def give_file(request: Request) -> Response:
    """The list as a file, with the filters of the page. Raises ``InvalidParameter``."""
    visit = visit_of(request)
    asked = _read(query_fields(request), await key_names(visit))
    found: list[Job] = []
    before: str | None = None
    for _ in range(_MOST_WALKS):
        page = await list_jobs(
            visit.principal.scope, visit.state.keeping.db, asked.which, before=before, limit=MOST_ROWS - len(found)
        )
        found += page.jobs
        before = page.older
        if before is None or len(found) >= MOST_ROWS:
            return export(request, f"jobs-{visit.principal.workspace}", _COLUMNS, (_row(asked, each) for each in found))
    raise InvalidParameter("These are too many jobs to look through for one file. Ask for fewer days.", param="first")


def _row(asked: Asked, job: Job) -> dict[str, Any]:
    return {
        **{name: getattr(job, name) for name in _COLUMNS if hasattr(job, name)},
        "key_id": job.api_key_id,
        "key": None if job.api_key_id is None else asked.key_name(job.api_key_id),
        "held": as_decimal(job.held_nanos),
        "cost": None if job.charged_nanos is None else as_decimal(job.charged_nanos),
    }


def state_words(fields: Fields) -> list[str]:
    """The states that are asked for: one or several, each given by itself or with a comma between."""
    return [word for text in fields.every("state") for word in text.split(",") if word]


def _state_choices(chosen: str) -> list[tuple[str, str]]:
    """The choices of the form; several at once are one of them where they are asked for."""
    words = ["", *_STATES, *([chosen] if "," in chosen else [])]
    return [(word, word.replace("_", " ").replace(",", " or ") or "All") for word in words]


def _read(fields: Fields, names: Mapping[int, str]) -> Asked:
    type_ = fields.choice("type", list(GenerationType))
    words = state_words(fields)
    if unknown := [word for word in words if word not in _STATES]:
        raise InvalidParameter(f"state {quoted(unknown[0])} is not one of {', '.join(_STATES)}.", param="state")
    since, until = moments(fields)
    before = fields.text("before") or None
    if before is not None and not is_generation_id(before):
        raise InvalidParameter("before is not an id. Use the id of the last job you have.", param="before")
    which = JobFilter(
        types=(GenerationType(type_),) if type_ else tuple(GenerationType),
        states=tuple(dict.fromkeys(state for word in words for state in _STATES[word])) or tuple(State),
        model=fields.text("model").strip() or None,
        key_id=read_key(fields, names),
        way_in=fields.choice("way_in", WAYS_IN),
        end_user=fields.text("end_user").strip() or None,
        since=since,
        until=until,
        by_end=fields.choice("dates", ["asked", "ended"]) == "ended",
    )
    return Asked(which=which, before=before, keys=dict(names))


ROUTES = (
    Route("GET", f"{PREFIX}/jobs", show),
    *routes_of_files("/jobs", give_file),
)
