"""What was used and what was refused, by UTC date, model, key and end user; and the requests that were refused."""

from __future__ import annotations

from datetime import date, datetime

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


class RefusedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was refused, or several alike that were within about a second: ``count``.

    ``at`` is when it came on record. ``reason`` is the code of the error, ``message`` and ``param`` what else it said.
    ``way_in`` None: not known.
    """

    id: int
    at: datetime
    workspace: str
    type: str
    model: str
    api_key_id: int | None
    way_in: str | None
    reason: str
    message: str
    param: str | None
    count: int


class EndUserUsage(msgspec.Struct, frozen=True, kw_only=True):
    """As ``Usage``, of what was made for one end user, by any key. ``end_user``: the keyed hash of their name."""

    date: date
    workspace: str
    type: str
    model: str
    end_user: str
    completed: int
    failed: int
    charged_thousandths: int
    cost_nanos: int


async def list_usage(scope: Scope, db: Database, first: date, last: date) -> list[Usage]:
    """What was used from ``first`` to ``last``, both included, newest first. Raises ``InvalidParameter``."""
    return await db.all("list_usage", _range(scope, first, last), Usage)


async def list_refusals(scope: Scope, db: Database, first: date, last: date) -> list[Refusals]:
    """What was refused from ``first`` to ``last``, both included, newest first. Raises ``InvalidParameter``."""
    return await db.all("list_refusals", _range(scope, first, last), Refusals)


async def list_end_users(scope: Scope, db: Database, first: date, last: date) -> list[EndUserUsage]:
    """As ``list_usage``, for end users. Raises ``InvalidParameter``."""
    return await db.all("list_end_users", _range(scope, first, last), EndUserUsage)


async def list_refused(
    scope: Scope,
    db: Database,
    *,
    first: date,
    last: date,
    before: int | None = None,
    limit: int = 100,
    type_: str | None = None,
    model: str | None = None,
    api_key_id: int | None = None,
    way_in: str | None = None,
    reason: str | None = None,
) -> list[RefusedRequest]:
    """Requests that were refused from ``first`` to ``last``, both included, newest first: ``limit`` of them.

    They go back 30 days. ``before``: the id of the last one that is known. The others leave only what is so;
    ``api_key_id`` 0: what was asked for without a key. Raises ``InvalidParameter``.
    """
    filters = {"type": type_, "model": model, "api_key_id": api_key_id, "way_in": way_in, "reason": reason}
    page = {"before": before, "limit": limit}
    return await db.all("list_refused", {**_range(scope, first, last), **page, **filters}, RefusedRequest)


def _range(scope: Scope, first: date, last: date) -> dict[str, int | date | None]:
    if last < first:
        raise InvalidParameter("The last date is before the first.", param="last")
    return {"workspace_id": scope.workspace_id, "first": first, "last": last}
