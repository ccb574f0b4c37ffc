"""One job: what it made, what became of it and when, its money, who was told of it; and what can be done with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.api.answer import encode
from safelight.api.dialect import Route
from safelight.dashboard.filters import WAYS_IN
from safelight.dashboard.jobs.timeline import timeline
from safelight.dashboard.site import PREFIX
from safelight.dashboard.snippets import fields_of, pictures_of, snippets_of
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import DownloadExpired, NotFound
from safelight.domain.numbers import number_within
from safelight.domain.roles import Role
from safelight.keeping.expire import delete_media
from safelight.keeping.receipts import Receipt, list_files, receipt
from safelight.keeping.verdicts import Verdict
from safelight.lifecycle.cancel import Cancellation, cancel
from safelight.lifecycle.job_views import find_job, list_told, list_transfers
from safelight.lifecycle.records import GenerationRecord, find_record
from safelight.lifecycle.views import GenerationDetail, detail

CHECKED_AT_ONCE_BYTES = 32 * 1024 * 1024
"""A file up to that is looked at with its page; a larger one when it is asked for."""

_SAID = {
    Cancellation.CANCELED: "job_canceled",
    Cancellation.REQUESTED: "job_cancel_requested",
    Cancellation.TOO_LATE: "job_cancel_too_late",
}


async def show(request: Request) -> Response:
    """The page of one job. An operator is led on to the workspace that it is in."""
    visit, id_ = visit_of(request), request.path_params["id"]
    try:
        found = await detail(visit.state.viewing, visit.principal.workspace_id, id_)
    except NotFound:
        workspace = await _workspace_of(visit, id_)
        if workspace is None or workspace == visit.principal.workspace:
            raise
        return visit.redirect(f"/jobs/{id_}", {"workspace": workspace})
    return visit.page("jobs/job.html", block="job", **await _context(visit, found))


async def _context(visit: Visit, found: GenerationDetail) -> dict[str, Any]:
    scope, db, id_ = visit.principal.scope, visit.state.keeping.db, found.view.id
    record = await find_job(scope, db, id_)
    transfers = await list_transfers(scope, db, id_)
    told = await list_told(scope, db, id_)
    files = await list_files(visit.state.keeping, scope.workspace_id, id_)
    backends = await find_record(db, id_) if visit.viewer.is_operator else None
    now = datetime.now(UTC)
    is_gone = found.view.deletes_at is not None and found.view.deletes_at <= now
    return {
        "found": found,
        "view": found.view,
        "record": record,
        "transfers": transfers,
        "told": told,
        "files": files,
        "backends": backends,
        "steps": timeline(
            found.view,
            record,
            transfers=transfers,
            told=told,
            files=files,
            reports=backends.backend_reports if backends else (),
            now=now,
        ),
        "media": [] if is_gone else list(zip(found.view.media, files, strict=True)),
        "is_gone": is_gone,
        "kept_seconds": None if found.view.deletes_at is None else (found.view.deletes_at - now).total_seconds(),
        "has_receipt": bool(files) and all(each.deleted_at is not None for each in files),
        "is_signed": visit.state.keeping.statements is not None,
        "ways": snippets_of(visit.state.public_url, found.view.type, fields_of(found), pictures_of(found)),
        "ways_in": WAYS_IN,
        "checked_at_once_bytes": CHECKED_AT_ONCE_BYTES,
    }


async def check_provenance(request: Request) -> Response:
    """What a file of the job tells of its origin, as it lies in the store now: a piece, or a page without scripts."""
    visit, id_ = visit_of(request), request.path_params["id"]
    index = number_within(request.path_params["index"], 0, 1000)
    verdict: Verdict | None = None
    if index is None:
        raise NotFound("There is no generation with this id and this file in this workspace.")
    try:
        verdict = await visit.site.verdicts.find(visit.state.keeping, visit.principal.workspace_id, id_, index)
    except DownloadExpired:
        verdict = None
    return visit.page("jobs/provenance.html", block="verdict", id=id_, index=index, verdict=verdict)


async def give_receipt(request: Request) -> Response:
    """The receipt of the deletion: the signed statement alone, or with what it says as JSON. Raises ``NotFound``."""
    visit, id_, kind = visit_of(request), request.path_params["id"], request.path_params["kind"]
    found: Receipt = await receipt(visit.state.keeping, visit.principal.workspace_id, id_)
    if kind == "json":
        content, media_type = encode(found), "application/json"
    elif kind == "jws" and found.jws is not None:
        content, media_type = found.jws.encode(), "application/jose"
    else:
        raise NotFound("There is no receipt of that kind. Its page links to those that there are.")
    headers = {
        "content-disposition": f'attachment; filename="receipt-{found.id}.{kind}"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return Response(content, media_type=media_type, headers=headers)


async def cancel_job(request: Request) -> Response:
    """Cancel it, as far as it still can be."""
    visit, id_ = visit_of(request), request.path_params["id"]
    state, workspace_id = visit.state, visit.principal.workspace_id
    found = await detail(state.viewing, workspace_id, id_)
    became, _ = await cancel(state.running, state.viewing, workspace_id, id_, found.view.type)
    await visit.audit(Action.GENERATION_CANCEL, id_, {"became": str(became)})
    return visit.redirect(f"/jobs/{id_}", visit.own, said=_SAID[became])


async def delete_job_media(request: Request) -> Response:
    """Delete its files now, before their time."""
    visit, id_ = visit_of(request), request.path_params["id"]
    keeping, workspace_id = visit.state.keeping, visit.principal.workspace_id
    await delete_media(keeping, workspace_id, id_)
    await visit.audit(Action.MEDIA_DELETE, id_)
    files = await list_files(keeping, workspace_id, id_)
    is_gone = all(each.deleted_at is not None for each in files)
    said = "media_deleted" if is_gone else "media_being_deleted"
    return visit.redirect(f"/jobs/{id_}", visit.own, said=said)


async def _workspace_of(visit: Visit, id_: str) -> str | None:
    """Whose it is, for an operator; None for everybody else."""
    if not visit.viewer.is_operator:
        return None
    record: GenerationRecord = await find_record(visit.state.keeping.db, id_)
    return record.workspace


ROUTES = (
    Route("GET", f"{PREFIX}/jobs/{{id}}", show),
    Route("GET", f"{PREFIX}/jobs/{{id}}/provenance/{{index}}", check_provenance),
    Route("GET", f"{PREFIX}/jobs/{{id}}/receipt.{{kind}}", give_receipt),
    Route("POST", f"{PREFIX}/jobs/{{id}}/cancel", cancel_job, role=Role.GENERATE),
    Route("POST", f"{PREFIX}/jobs/{{id}}/delete", delete_job_media, role=Role.GENERATE),
)
