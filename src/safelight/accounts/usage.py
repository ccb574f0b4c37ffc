"""What was used and what was refused, by UTC date, model and key."""

from __future__ import annotations

from datetime import date

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import InvalidParameter
from safelight.domain.scope import Scope


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Generations of one workspace, type, model and key that ended on one date.

    ``charged_thousandths`` is in thousandths of the billable unit: images, or seconds of video. ``failed`` counts those
    that ended without media, canceled ones included. ``api_key_id`` None: made without a key.
    """

    date: date
    workspace: str
    type: str
    model: str
    api_key_id: int | None
    completed: int
    failed: int
    charged_thousandths: int
    cost_nanos: int


class Refusals(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were refused on one date before anything was held. ``reason`` is the code of the error."""

    date: date
    workspace: str
    type: str
    model: str
    api_key_id: int | None
    reason: str
    count: int


async def list_usage(scope: Scope, db: Database, first: date, last: date) -> list[Usage]:
    """What was used from ``first`` to ``last``, both included, newest first. Raises ``InvalidParameter``."""
    return await db.all("list_usage", _range(scope, first, last), Usage)


async def list_refusals(scope: Scope, db: Database, first: date, last: date) -> list[Refusals]:
    """What was refused from ``first`` to ``last``, both included, newest first. Raises ``InvalidParameter``."""
    return await db.all("list_refusals", _range(scope, first, last), Refusals)


def _range(scope: Scope, first: date, last: date) -> dict[str, int | date | None]:
    if last < first:
        raise InvalidParameter("The last date is before the first.", param="last")
    return {"workspace_id": scope.workspace_id, "first": first, "last": last}
