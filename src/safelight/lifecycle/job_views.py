"""A workspace's generations as its people look at them: a list of jobs with their amounts, and all on record of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import NotFound
from safelight.domain.generations import GenerationType, State
from safelight.domain.ids import first_id_at, is_generation_id, made_at
from safelight.domain.scope import WorkspaceScope

MOST_WALKED = 20_000
"""So many jobs are looked at for one page of those that no index tells apart."""

_BEYOND_ALL = "req-8"
# None takes longer: deadlines are shorter, and nothing is unknown for so long.
_LONGEST = timedelta(days=31)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the list. ``cost_nanos`` is what was charged, in nano-dollars; None as long as it is held."""

    id: str
    type: str
    model: str
    state: str
    progress: float | None
    api_key_id: int | None
    way_in: str | None
    held_nanos: int
    charged_nanos: int | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_under_way(self) -> bool:
        return self.finished_at is None

    @property
    def took_seconds(self) -> float | None:
        """From when it was accepted to its end."""
        return None if self.finished_at is None else (self.finished_at - self.created_at).total_seconds()


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; None leaves all. ``key_id`` 0: without a key. ``end_user``: the keyed hash of their name.

    ``since`` and ``until``, the first moment after, are times of the request, or with ``by_end`` of the job's end.
    """

    types: tuple[GenerationType, ...] = tuple(GenerationType)
    states: tuple[State, ...] = tuple(State)
    model: str | None = None
    key_id: int | None = None
    way_in: str | None = None
    end_user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    by_end: bool = False

    @property
    def is_walk(self) -> bool:
        """Whether jobs are to be looked at one by one."""
        has_times = self.since is not None or self.until is not None
        asked = (self.model, self.key_id, self.way_in, self.end_user)
        return any(each is not None for each in asked) or (self.by_end and has_times)


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of jobs, newest first. ``older``: before which id the next page goes on; None: there is none.

    ``walked_to``: there may be more jobs before this one, and as yet nobody looked; None where all were looked at.
    """

    jobs: tuple[Job, ...]
    older: str | None
    walked_to: datetime | None = None


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is on record of a generation beside what its view tells. ``attempts`` counts its runners, those that were
    lost included, ``tries`` the orders that came to nothing. ``submitted_at``: when a backend was asked last."""

    id: str
    api_key_id: int | None
    key_name: str | None
    key: str | None
    way_in: str | None
    has_end_user: bool
    attempts: int
    tries: int
    created_at: datetime
    submitted_at: datetime | None
    cancel_requested_at: datetime | None
    deadline: datetime
    finished_at: datetime | None
    deletes_at: datetime | None
    held_nanos: int
    charged_nanos: int | None


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger, in nano-dollars; its amounts sum to zero."""

    id: int
    kind: str
    available_nanos: int
    held_nanos: int
    revenue_nanos: int
    created_at: datetime


class DeliveredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a generation on its way to one address; without ``delivery_id`` nobody is told of it."""

    event_id: str
    type: str
    happened_at: datetime
    delivery_id: int | None
    endpoint_id: int | None
    url: str | None
    state: str | None
    attempts: int | None
    last_status: int | None
    last_error: str | None
    created_at: datetime | None
    last_attempt_at: datetime | None
    ended_at: datetime | None
    next_attempt_at: datetime | None


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    walked_to: str | None
    id: str | None
    type: str | None
    model: str | None
    state: str | None
    progress: float | None
    api_key_id: int | None
    way_in: str | None
    held_nanos: int | None
    charged_nanos: int | None
    error_code: str | None
    error_message: str | None
    created_at: datetime | None
    finished_at: datetime | None


async def list_jobs(
    scope: WorkspaceScope, db: Database, which: JobFilter, *, before: str | None = None, limit: int = 50
) -> JobPage:
    """The jobs of a workspace, newest first, from before the id ``before``.

    What no index has is looked at on ``MOST_WALKED`` jobs a page, however many there are.
    """
    since, until = which.since, which.until
    most_walked = max(MOST_WALKED, limit + 1) if which.is_walk else limit + 1
    params = {
        "workspace_id": scope.workspace_id,
        "types": [str(each) for each in which.types],
        "states": [str(each) for each in which.states],
        "before": min(filter(None, (before, first_id_at(until) if until else _BEYOND_ALL))),
        "since": first_id_at(since - _LONGEST if which.by_end else since) if since else "",
        "model": which.model,
        "key_id": which.key_id,
        "way_in": which.way_in,
        "end_user": which.end_user,
        "ended_from": (since or datetime.min.replace(tzinfo=UTC)) if which.by_end and (since or until) else None,
        "ended_before": until or datetime.max.replace(tzinfo=UTC),
        "limit": limit + 1,
        "most_walked": most_walked,
    }
    rows = await db.all("list_jobs", params, _Row)
    jobs = [msgspec.convert(msgspec.structs.asdict(row), Job) for row in rows if row.id is not None]
    if len(jobs) > limit:
        return JobPage(jobs=tuple(jobs[:limit]), older=jobs[limit - 1].id)
    walked_to = rows[0].walked_to if which.is_walk else None
    return JobPage(jobs=tuple(jobs), older=walked_to, walked_to=None if walked_to is None else made_at(walked_to))


async def find_job(scope: WorkspaceScope, db: Database, generation_id: str) -> JobRecord:
    """What is on record of a generation of the workspace. Raises ``NotFound``."""
    row = await db.one("find_job", _named(scope, generation_id), JobRecord) if is_generation_id(generation_id) else None
    if row is None:
        raise NotFound("There is no generation with this id in this workspace.")
    return row


async def list_transfers(scope: WorkspaceScope, db: Database, generation_id: str) -> list[Transfer]:
    """What the ledger has of a generation: its hold first, and how that was settled."""
    return await db.all("list_transfers_of_generation", _named(scope, generation_id), Transfer)


async def list_told(scope: WorkspaceScope, db: Database, generation_id: str) -> list[DeliveredEvent]:
    """The events of a generation as long as they are kept, oldest first, each with its deliveries."""
    return await db.all("list_deliveries_of_generation", _named(scope, generation_id), DeliveredEvent)


def _named(scope: WorkspaceScope, generation_id: str) -> dict[str, str | int]:
    return {"id": generation_id, "workspace_id": scope.workspace_id}
