"""How the work of all workspaces stands, for the operator: what waits, what is under way, what backends say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from safelight.db.pool import Database
from safelight.domain.ids import first_id_at
from safelight.domain.scope import OperatorScope

MOST_LOOKED_AT = 5000
"""How many of the newest generations are asked what was said of them."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs of one task on one queue: ``todo`` or ``doing``, and how long the oldest is there."""

    queue: str
    task: str
    status: str
    jobs: int
    oldest_seconds: float | None


class UnderWay(msgspec.Struct, frozen=True, kw_only=True):
    """Generations of one state and type. ``held``: by a runner whose lease stands; ``lease_over``: by one whose does
    not; ``waiting``: looked at again later; ``overdue``: past their deadline. ``held_nanos``: of money.
    """

    state: str
    type: str
    generations: int
    oldest_at: datetime
    held_nanos: int
    held: int
    lease_over: int
    waiting: int
    overdue: int


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One generation under way. ``runner``: which process has it; ``wake_at``: when it is looked at again."""

    id: str
    workspace: str
    type: str
    model: str
    state: str
    progress: float | None
    attempts: int
    tries: int
    created_at: datetime
    submitted_at: datetime | None
    deadline: datetime
    lease_until: datetime | None
    wake_at: datetime | None
    cancel_requested_at: datetime | None
    runner: str | None
    connection: str | None
    backend_stage: str | None
    backend_place: int | None
    last_outcome: str | None
    last_detail: str | None

    @property
    def age_seconds(self) -> float:
        return (datetime.now(UTC) - self.created_at).total_seconds()

    @property
    def is_stuck(self) -> bool:
        """Whether nobody has it who should: past its deadline, or its runner's lease is over."""
        now = datetime.now(UTC)
        return self.deadline < now or (self.lease_until is not None and self.lease_until < now)

    @property
    def next_step(self) -> str:
        """What is done next, in words."""
        now = datetime.now(UTC)
        if self.deadline < now:
            return "fails now: its deadline passed"
        if self.lease_until is not None and self.lease_until < now:
            return "goes to another runner: its own is silent"
        if self.cancel_requested_at is not None:
            return "is being canceled"
        if self.wake_at is not None:
            return f"is looked at again at {self.wake_at.astimezone(UTC):%H:%M:%S}"
        if self.state == "unknown":
            return "its backend is asked what became of it" if self.runner else "waits for a runner to ask its backend"
        return "waits for a runner" if self.runner is None else "runs"


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """How many generations were asked for in one minute."""

    minute: datetime
    generations: int


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend said of orders that came to nothing: so many times, and of which generation last."""

    connection: str
    outcome: str
    reason: str | None
    status: int | None
    code: str | None
    words: str
    times: int
    last_at: datetime
    generation_id: str
    workspace: str


async def list_waiting(operator: OperatorScope, db: Database) -> list[Waiting]:
    """The jobs on the queues."""
    return await db.all("count_waiting_jobs", {}, Waiting)


async def count_under_way(operator: OperatorScope, db: Database) -> list[UnderWay]:
    """How many generations are under way."""
    return await db.all("count_under_way", {}, UnderWay)


async def oldest_waiting(operator: OperatorScope, db: Database, queues: Sequence[str]) -> dict[str, float]:
    """How many seconds the first job waits in each of the queues; 0 where none does."""
    return dict(await db.all("find_oldest_waiting", {"queues": list(queues)}, tuple))


async def list_under_way(
    operator: OperatorScope,
    db: Database,
    *,
    state: str | None = None,
    workspace: str | None = None,
    is_stuck: bool = False,
    most: int = 100,
) -> list[Work]:
    """Generations under way, oldest first: ``most`` of them. ``is_stuck``: only those that nobody has who should."""
    params = {"state": state, "workspace": workspace, "is_stuck": is_stuck, "most": most}
    return await db.all("list_under_way", params, Work)


async def count_by_minute(operator: OperatorScope, db: Database, minutes: int = 60) -> list[Minute]:
    """How many were asked for in each of the last minutes, the one under way included; zeros too."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    first = now - timedelta(minutes=minutes - 1)
    found = await db.all("count_by_minute", {"since": first_id_at(first)}, Minute)
    counts = {row.minute.astimezone(UTC): row.generations for row in found}
    every = (first + timedelta(minutes=offset) for offset in range(minutes))
    return [Minute(minute=at, generations=counts.get(at, 0)) for at in every]


async def list_words(operator: OperatorScope, db: Database, *, within_seconds: int) -> list[Words]:
    """What backends said within that time, by connection, newest first; of the newest ``MOST_LOOKED_AT`` generations
    that were asked for within it or a day before."""
    since = datetime.now(UTC) - timedelta(seconds=within_seconds)
    params = {"since": first_id_at(since - timedelta(days=1)), "from": since, "most": MOST_LOOKED_AT}
    return await db.all("list_backend_words", params, Words)
