"""What was under way at a backup, in the database that is put back from it.

The installation that was backed up went on meanwhile, and may go on still. What it gave to a backend after the backup
is on no record here. So what was given to none may be somewhere all the same, and would be ordered, and paid, a second
time: it ends here, and its hold is released. What was given to one is unknown, and stays for a runner: that asks the
backend, by the job's handle where there is one, and gives the order to no other (``dispatch``).
"""

from __future__ import annotations

import uuid

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import GenerationFailed
from safelight.lifecycle import settle
from safelight.lifecycle.claims import ClaimedRow
from safelight.lifecycle.reports import report_of

_LEASE_SECONDS = 60
_TOLD = "The service was restored from a backup while this waited. Nothing was charged; send it again."


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """Generations under way: ``ended`` here, or still ``waiting`` for a backend; ``with_job`` is known to one, and
    ``without_job`` may be. ``sessions``: people's, and links to come in by, that have ended."""

    sessions: int
    ended: int
    waiting: int
    with_job: int
    without_job: int


class _Ordered(msgspec.Struct, frozen=True, kw_only=True):
    with_job: int
    without_job: int


async def take_up(db: Database, *, orders_what_waited: bool) -> Restored:
    """See to it, before anything else works on the database. Repeating it is harmless.

    ``orders_what_waited``: nothing was ordered since the backup, so what waited then may be.
    """
    sessions = await db.run("end_every_session", {}) + await db.run("end_every_login_link", {})
    await db.run("take_from_runners", {})
    waiting = [id_ for (id_,) in await db.all("list_not_ordered", {}, tuple)]
    ended = 0
    for generation_id in () if orders_what_waited else waiting:
        params = {"id": generation_id, "run_token": uuid.uuid4(), "lease_seconds": _LEASE_SECONDS}
        row = await db.lookup("claim", params, ClaimedRow)
        if row is not None:
            report = report_of("failed", None, None, detail="it waited while a backup was made, and that was restored")
            await settle.fail(db, row.claim(), GenerationFailed(_TOLD), report=report)
            ended += 1
    ordered = await db.one("count_ordered", {}, _Ordered)
    assert ordered is not None
    return Restored(
        sessions=sessions,
        ended=ended,
        waiting=len(waiting) - ended,
        with_job=ordered.with_job,
        without_job=ordered.without_job,
    )
