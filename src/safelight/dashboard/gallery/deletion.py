"""Media that people delete before their time: how many, asked once more, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.api.dialect import Route
from safelight.dashboard.gallery.pages import receipt_of
from safelight.dashboard.gallery.query import read_asked
from safelight.dashboard.reading import Fields, read_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import InvalidParameter, NotFound
from safelight.domain.roles import Role
from safelight.keeping.expire import delete_media
from safelight.lifecycle.views import GenerationDetail, detail

MOST_AT_ONCE = 200
_WORKERS = 8


async def ask(request: Request) -> Response:
    """Say what would be deleted, and ask whether it is to be. Nothing is changed."""
    visit, asked = visit_of(request), read_asked(request)
    ids = _ids(await read_fields(request))
    found = await _kept(visit, ids)
    return visit.page(
        "gallery/delete.html",
        block="part",
        asked=asked,
        found=found,
        missing=len(ids) - len(found),
    )


async def delete(request: Request) -> Response:
    """Delete for good, and say how many were, each with its receipt."""
    visit, asked = visit_of(request), read_asked(request)
    ids = _ids(await read_fields(request))
    found = [each.view.id for each in await _kept(visit, ids)]
    keeping, workspace_id = visit.state.keeping, visit.principal.workspace_id
    places = asyncio.Semaphore(_WORKERS)

    async def delete_one(generation_id: str) -> None:
        async with places:
            await delete_media(keeping, workspace_id, generation_id)
            await visit.audit(Action.MEDIA_DELETE, generation_id)

    ends = await asyncio.gather(*map(delete_one, found), return_exceptions=True)
    if trouble := next((end for end in ends if end is not None), None):
        raise trouble  # those that were deleted are on record all the same
    receipts = await asyncio.gather(*(receipt_of(visit, each) for each in found))
    return visit.page(
        "gallery/deleted.html",
        block="part",
        asked=asked,
        deleted=list(zip(found, receipts, strict=True)),
        missing=len(ids) - len(found),
    )


def _ids(fields: Fields) -> list[str]:
    """Those that are selected, each once. Raises ``InvalidParameter``."""
    ids = list(dict.fromkeys(fields.every("id")))
    if not ids:
        raise InvalidParameter("Nothing is selected. Select what is to be deleted.", param="id")
    if len(ids) > MOST_AT_ONCE:
        raise InvalidParameter(f"{len(ids)} are selected. Delete at most {MOST_AT_ONCE} at once.", param="id")
    return ids


async def _kept(visit: Visit, ids: Sequence[str]) -> list[GenerationDetail]:
    """Those of them that have media of this workspace which are still kept; the others are as not there."""
    now = datetime.now(UTC)

    async def find(generation_id: str) -> GenerationDetail | None:
        try:
            return await detail(visit.state.viewing, visit.principal.workspace_id, generation_id)
        except NotFound:
            return None

    found = await asyncio.gather(*map(find, ids))
    return [each for each in found if each and each.view.deletes_at and each.view.deletes_at > now]


ROUTES = (
    Route("POST", f"{PREFIX}/gallery/delete", ask, role=Role.GENERATE),
    Route("POST", f"{PREFIX}/gallery/delete/confirmed", delete, role=Role.GENERATE),
)
