"""Claims that gather: each gets its own generation, and none waits for what another has in hand."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from safelight.domain.errors import GenerationFailed
from safelight.domain.scope import Principal
from safelight.lifecycle import run, settle
from safelight.lifecycle.claims import Claim, ClaimedRow
from tests.lifecycle.studio import Studio

pytestmark = pytest.mark.database


@pytest.fixture
async def sender(studio: Studio) -> Principal:
    return await studio.workspace()


async def claims(studio: Studio, *ids: str) -> list[Claim | None]:
    return await asyncio.gather(*(run.claim(studio.parts.running, id_) for id_ in ids))


async def attempts(studio: Studio, generation_id: str) -> int:
    ((count,),) = await studio.rows("select attempts from generations where id = %s", generation_id)
    return int(count)


async def requeued(studio: Studio) -> set[str]:
    params = {"dead": [], "absent": [], "silent_seconds": 0, "grace_seconds": 0, "most": 10**6}
    return {generation_id for generation_id, _ in await studio.db.all("requeue_due", params, tuple)}


async def test_each_gets_its_own(studio: Studio, sender: Principal) -> None:
    ids = [await studio.submit_video(sender) for _ in range(3)]
    found = await claims(studio, ids[2], "req-00000000000000000000000000", ids[0], ids[1])
    assert [claim and claim.id for claim in found] == [ids[2], None, ids[0], ids[1]]
    held = {str(token) for (token,) in await studio.rows("select run_token from generations where id = any(%s)", ids)}
    assert held == {str(claim.run_token) for claim in found if claim}
    assert len(held) == 3


async def test_of_two_for_the_same_one_gets_it(studio: Studio, sender: Principal) -> None:
    id_ = await studio.submit_video(sender)
    found = [claim for claim in await claims(studio, id_, id_) if claim]
    assert len(found) == 1
    assert await studio.rows("select run_token from generations where id = %s", id_) == [(found[0].run_token,)]
    assert await attempts(studio, id_) == 1


async def test_what_has_ended_or_is_anothers_is_not_given(studio: Studio, sender: Principal) -> None:
    ended, held, free = [await studio.submit_video(sender) for _ in range(3)]
    first, _ = await claims(studio, ended, held)
    assert first and await settle.fail(studio.db, first, GenerationFailed())
    found = await claims(studio, ended, held, free)
    assert [claim and claim.id for claim in found] == [None, None, free]


async def test_one_that_is_locked_keeps_none_waiting(studio: Studio, sender: Principal) -> None:
    locked, free = await studio.submit_video(sender), await studio.submit_video(sender)
    async with studio.db.connection() as connection, connection.transaction():
        await connection.execute("select 1 from generations where id = %s for update", [locked])
        async with asyncio.timeout(30):
            found = await claims(studio, locked, free)
    assert [claim and claim.id for claim in found] == [None, free]
    assert await attempts(studio, locked) == 0
    await studio.rows("delete from procrastinate_jobs where args ->> 'generation_id' = %s", locked)
    assert locked in await requeued(studio), "it is not lost"


async def test_a_claim_whose_answer_was_lost_is_answered_again_and_counts_once(
    studio: Studio, sender: Principal
) -> None:
    id_, token = await studio.submit_video(sender), uuid.uuid4()
    params: dict[str, Any] = {"id": id_, "run_token": token, "lease_seconds": 60}
    rows = [await studio.db.lookup("claim", params, ClaimedRow) for _ in range(2)]
    assert [row and row.attempts for row in rows] == [1, 1]
    assert await studio.db.lookup("claim", {**params, "run_token": uuid.uuid4()}, ClaimedRow) is None


async def test_what_was_fetched_just_now_is_about_to_be_claimed(studio: Studio, sender: Principal) -> None:
    id_ = await studio.submit_video(sender)
    ((worker,),) = await studio.rows("insert into procrastinate_workers default values returning id")
    job = "where args ->> 'generation_id' = %s"
    await studio.rows(f"update procrastinate_jobs set status = 'doing', worker_id = %s {job}", worker, id_)
    assert id_ not in await requeued(studio)
    of_job = f"where type = 'started' and job_id in (select id from procrastinate_jobs {job})"
    await studio.rows(f"update procrastinate_events set at = at - interval '2 s' {of_job}", id_)
    assert id_ in await requeued(studio)


async def test_what_was_fetched_by_a_worker_that_has_ended_is_given_to_another(
    studio: Studio, sender: Principal
) -> None:
    id_ = await studio.submit_video(sender)
    ((worker,),) = await studio.rows("insert into procrastinate_workers default values returning id")
    job = "where args ->> 'generation_id' = %s"
    await studio.rows(f"update procrastinate_jobs set status = 'doing', worker_id = %s {job}", worker, id_)
    await studio.rows("delete from procrastinate_workers where id = %s", worker)
    assert id_ in await requeued(studio)


async def test_more_than_two_ends_of_a_workspace_hold_no_session(studio: Studio, sender: Principal) -> None:
    """And none is forgotten: each waits for its turn, while another workspace's ends at once."""
    other = await studio.workspace()
    ids = [await studio.submit_video(sender) for _ in range(6)]
    mine = [claim for claim in await claims(studio, *ids) if claim]
    (theirs,) = await claims(studio, await studio.submit_video(other))
    assert theirs
    sent: list[int] = []
    one, under_way = studio.db.one, 0

    async def counted(name: str, *arguments: Any) -> Any:
        nonlocal under_way
        under_way += 1
        sent.append(under_way)
        try:
            return await one(name, *arguments)
        finally:
            under_way -= 1

    async with studio.db.connection() as connection, connection.transaction():
        await connection.execute("select from accounts where workspace_id = %s for update", [sender.workspace_id])
        studio.db.one = counted  # type: ignore[method-assign,assignment]
        try:
            ends = [asyncio.create_task(settle.fail(studio.db, claim, GenerationFailed())) for claim in mine]
            await asyncio.sleep(0.2)
            assert sent == [1, 2], "four wait for no session"
            async with asyncio.timeout(30):
                assert await settle.fail(studio.db, theirs, GenerationFailed())
            assert not any(end.done() for end in ends)
        finally:
            studio.db.one = one  # type: ignore[method-assign]
    assert all(await asyncio.gather(*ends))
