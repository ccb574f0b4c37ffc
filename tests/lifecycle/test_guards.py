"""What the statements of a generation's life refuse: who is not the live runner, what is early, what has ended."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from safelight.db.pool import Database, statement
from safelight.domain.errors import GenerationFailed, QuotaExceeded, RateLimited
from safelight.domain.generations import GenerationType
from safelight.domain.request import Request
from safelight.domain.scope import Principal
from safelight.lifecycle import run, settle
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.submit import Submission, submit
from tests.lifecycle.studio import Studio

pytestmark = pytest.mark.database

SILENCE = 1000.0
"""Seconds that no lease here lasts."""
LIVE_ONLY: dict[str, dict[str, Any]] = {
    "record_handle": {"handle": Jsonb({"job": 1})},
    "record_intent": {"connection": "noop", "upstream_model": "m", "binding_options": Jsonb({}), "binding": 3},
    "withdraw_intent": {"report": None, "loss": None, "tries": 1},
    "record_unknown": {"report": None, "counts": 1, "first_look_seconds": 5},
    "hand_back": {},
    "leave_to_others": {"report": Jsonb({"outcome": "left", "detail": "no such model"})},
}


@pytest.fixture
async def sender(studio: Studio) -> Principal:
    return await studio.workspace()


@pytest.fixture
async def other_db(studio: Studio) -> AsyncIterator[Database]:
    """Another session's."""
    db = Database(studio.db.url, pool_size=1)
    await db.open()
    yield db
    await db.close()


async def image(studio: Studio, sender: Principal, **more: Any) -> Claim:
    """One that was accepted, and that its runner holds."""
    request = Request(type=GenerationType.IMAGE, model="still", prompt="a hill")
    more = {"body_sha256": hashlib.sha256(secrets.token_bytes(8)).digest(), **more}
    asked = Submission(principal=sender, request=request, **more)
    claim = (await submit(studio.parts.submitting, asked)).claim
    assert claim
    return claim


async def ended(studio: Studio, sender: Principal) -> Claim:
    claim = await image(studio, sender)
    assert await settle.fail(studio.db, claim, GenerationFailed())
    return claim


async def row(studio: Studio, generation_id: str) -> tuple[Any, ...]:
    (found,) = await studio.rows("select * from generations where id = %s", generation_id)
    return found


async def change(studio: Studio, generation_id: str, what: str) -> None:
    await studio.rows(f"update generations set {what} where id = %s", generation_id)


async def requeued(studio: Studio, **changed: Any) -> set[str]:
    params = {"dead": [], "absent": [], "silent_seconds": 0, "grace_seconds": 0, "most": 10**6, **changed}
    return {generation_id for generation_id, _ in await studio.db.all("requeue_due", params, tuple)}


async def overdue(studio: Studio) -> set[str]:
    return {generation_id for generation_id, *_ in await studio.db.all("list_overdue", {}, tuple)}


# Only the live runner writes


@pytest.mark.parametrize("name", LIVE_ONLY)
async def test_only_the_live_runner_records(studio: Studio, sender: Principal, name: str) -> None:
    one, other = await image(studio, sender), await image(studio, sender)
    before = await row(studio, one.id), await row(studio, other.id)
    for token in (uuid.uuid4(), other.run_token):
        assert not await studio.db.run(name, {"id": one.id, "run_token": token, **LIVE_ONLY[name]})
    assert (await row(studio, one.id), await row(studio, other.id)) == before
    assert await studio.db.run(name, {"id": one.id, "run_token": one.run_token, **LIVE_ONLY[name]})
    assert await row(studio, one.id) != before[0]
    assert await row(studio, other.id) == before[1]


async def test_only_live_runners_renew_and_tell_of_progress(studio: Studio, sender: Principal) -> None:
    one, other = await image(studio, sender), await image(studio, sender)
    before = await row(studio, one.id), await row(studio, other.id)
    wrong = {"ids": [one.id, other.id], "run_tokens": [other.run_token, uuid.uuid4()]}
    assert await studio.db.all("renew_leases", {**wrong, "lease_seconds": 99}, tuple) == []
    assert (
        await studio.db.all(
            "record_progress", {**wrong, "progress": [0.5, 0.5], "stages": [None, None], "places": [None, None]}, tuple
        )
        == []
    )
    assert (await row(studio, one.id), await row(studio, other.id)) == before
    right = {"ids": [one.id], "run_tokens": [one.run_token]}
    assert await studio.db.all("renew_leases", {**right, "lease_seconds": 99}, tuple) == [(one.id, False)]
    assert (
        len(
            await studio.db.all(
                "record_progress", {**right, "progress": [0.5], "stages": ["queued"], "places": [3]}, tuple
            )
        )
        == 1
    )
    assert await row(studio, other.id) == before[1]


async def test_only_the_live_runner_ends_it_and_once(studio: Studio, sender: Principal) -> None:
    one, other = await image(studio, sender), await image(studio, sender)
    before = await row(studio, one.id), await row(studio, other.id)
    for token in (uuid.uuid4(), other.run_token):
        mixed = Claim(**{name: getattr(one, name) for name in one.__struct_fields__} | {"run_token": token})
        assert await settle.fail(studio.db, mixed, GenerationFailed()) is None
    assert (await row(studio, one.id), await row(studio, other.id)) == before
    assert await settle.fail(studio.db, one, GenerationFailed())
    assert await settle.fail(studio.db, one, GenerationFailed()) is None
    assert await row(studio, other.id) == before[1]
    kinds = await studio.rows("select kind from transfers where generation_id = %s order by id", one.id)
    assert kinds == [("hold",), ("settle",)]


# Who may take it


async def test_it_is_taken_from_nobody_whose_lease_holds(studio: Studio, sender: Principal) -> None:
    claim = await image(studio, sender)
    before = await row(studio, claim.id)
    assert await run.claim(studio.parts.running, claim.id) is None
    assert await row(studio, claim.id) == before
    await change(studio, claim.id, "lease_until = now() - interval '1 s'")
    taken = await run.claim(studio.parts.running, claim.id)
    assert taken and (taken.id, taken.attempts) == (claim.id, 2)
    assert await settle.fail(studio.db, claim, GenerationFailed()) is None, "the first runner is not live any more"


@pytest.mark.parametrize("counts", [0, 1])
async def test_a_mere_look_is_no_lost_runner(studio: Studio, sender: Principal, counts: int) -> None:
    claim = await image(studio, sender)
    params = {"id": claim.id, "run_token": claim.run_token, "report": None, "first_look_seconds": 0, "counts": counts}
    assert await studio.db.run("record_unknown", params) == 1
    assert await studio.rows("select attempts from generations where id = %s", claim.id) == [(counts,)]


async def test_who_waits_hears_at_once_that_a_video_ended(studio: Studio, sender: Principal) -> None:
    generation_id = await studio.submit_video(sender)
    claim = await run.claim(studio.parts.running, generation_id)
    assert claim
    async with await psycopg.AsyncConnection.connect(studio.db.url, autocommit=True) as listening:
        await listening.execute("listen safelight")
        assert await settle.fail(studio.db, claim, GenerationFailed())
        heard = [notification.payload async for notification in listening.notifies(timeout=1)]
    assert f"changed:{generation_id}" in heard


async def test_what_has_ended_is_nobodys_to_take(studio: Studio, sender: Principal) -> None:
    claim = await ended(studio, sender)
    await change(studio, claim.id, "deadline = now() - interval '1 h'")
    before = await row(studio, claim.id)
    assert await run.claim(studio.parts.running, claim.id) is None
    assert claim.id not in await requeued(studio)
    assert claim.id not in await overdue(studio)
    assert await row(studio, claim.id) == before


async def test_what_waits_is_not_claimed_by_two(studio: Studio, sender: Principal) -> None:
    generation_id = await studio.submit_video(sender)
    claims = await asyncio.gather(*(run.claim(studio.parts.running, generation_id) for _ in range(8)))
    assert sum(claim is not None for claim in claims) == 1


# What the reconciler gives away


async def test_it_gives_away_what_is_silent_past_its_lease(studio: Studio, sender: Principal) -> None:
    silent, held = await image(studio, sender), await image(studio, sender)
    await change(studio, silent.id, "lease_until = now() - interval '1 s'")
    assert silent.id not in await requeued(studio, grace_seconds=10**8), "PostgreSQL has just started"
    found = await requeued(studio)
    assert silent.id in found and held.id not in found


async def test_it_gives_away_what_a_dead_runner_holds(studio: Studio, sender: Principal) -> None:
    claim = await image(studio, sender)
    assert claim.id not in await requeued(studio, dead=["00000000"], absent=["00000000"], silent_seconds=SILENCE)
    assert claim.id in await requeued(studio, dead=[studio.parts.running.presence.runner])


async def test_it_leaves_alone_what_an_absent_runner_renewed(studio: Studio, sender: Principal) -> None:
    claim = await image(studio, sender)
    absent = [studio.parts.running.presence.runner]
    assert claim.id not in await requeued(studio, absent=absent, silent_seconds=1)
    assert claim.id in await requeued(studio, absent=absent, silent_seconds=SILENCE)


async def test_it_looks_at_what_is_unknown_when_it_is_time(studio: Studio, sender: Principal) -> None:
    claim = await image(studio, sender)
    params = {"id": claim.id, "run_token": claim.run_token, **LIVE_ONLY["record_unknown"]}
    assert await studio.db.run("record_unknown", params)
    assert claim.id not in await requeued(studio)
    await change(studio, claim.id, "wake_at = now()")
    assert claim.id in await requeued(studio)
    assert await studio.rows("select state::text, wake_at from generations where id = %s", claim.id) == [
        ("unknown", None)
    ]


async def test_it_leaves_alone_what_has_its_job_on_the_queue(studio: Studio, sender: Principal) -> None:
    one, other = await studio.submit_video(sender), await studio.submit_video(sender)
    assert not {one, other} & await requeued(studio)
    for change_of_job in ("status = 'doing'", "status = 'todo', task_name = 'sweep'"):
        await studio.rows(f"update procrastinate_jobs set {change_of_job} where args ->> 'generation_id' = %s", one)
        found = await requeued(studio)
        assert one in found and other not in found


async def test_it_waits_for_nobody(studio: Studio, sender: Principal, other_db: Database) -> None:
    """Whoever works on one of them right now keeps it; the others are given away."""
    busy, silent = await image(studio, sender), await image(studio, sender)
    for claim in (busy, silent):
        await change(studio, claim.id, "lease_until = now() - interval '1 s'")
    async with other_db.connection() as connection, connection.transaction():
        await connection.execute("select 1 from generations where id = %s for update", [busy.id])
        async with asyncio.timeout(30):
            found = await requeued(studio)
        assert silent.id in found and busy.id not in found
    assert busy.id in await requeued(studio)


async def test_only_what_is_overdue_and_nobodys_is_failed(studio: Studio, sender: Principal) -> None:
    held, silent, early = [await image(studio, sender) for _ in range(3)]
    waiting = await studio.submit_video(sender)
    for generation_id in (held.id, silent.id, waiting):
        await change(studio, generation_id, "deadline = now() - interval '1 s'")
    for claim in (silent, early):
        await change(studio, claim.id, "lease_until = now() - interval '1 s'")
    found = await overdue(studio)
    assert {silent.id, waiting} <= found
    assert not {held.id, early.id} & found


# Who is absent


async def test_who_is_absent(studio: Studio, sender: Principal, other_db: Database) -> None:
    one, of_the_release_before = await image(studio, sender), await image(studio, sender)
    old_token = uuid.uuid4()
    await studio.rows("update generations set run_token = %s where id = %s", old_token, of_the_release_before.id)
    gone = f"{secrets.randbits(31):08x}"
    token = uuid.UUID(str(one.run_token)[:-8] + gone)
    await studio.rows("update generations set run_token = %s where id = %s", token, one.id)

    async def absent(judge: str) -> set[str]:
        return {runner for (runner,) in await studio.db.all("absent_runners", {"judge": judge}, tuple)}

    mine = studio.parts.running.presence.runner
    async with asyncio.timeout(60):
        while gone not in await absent(mine):
            await asyncio.sleep(0.05)  # until the session that hears holds the lock
    found = await absent(mine)
    assert mine not in found
    assert str(old_token)[-8:] not in found
    assert await absent("00000000") == set(), "a judge whose own session does not stand tells nothing"
    async with other_db.connection() as connection:
        await connection.execute("select pg_advisory_lock_shared(1, %s)", [int(gone, 16)])
        assert gone in await absent(mine), "another lock"
        await connection.execute(statement("be_present"), {"runner": int(gone, 16)})
        assert gone not in await absent(mine)


# Whose wish, key and cap it is


async def test_only_its_own_workspace_cancels_it_while_it_is_under_way(studio: Studio, sender: Principal) -> None:
    stranger = await studio.workspace()
    claim = await image(studio, sender)
    wish = {"id": claim.id, "workspace_id": sender.workspace_id, "type": "image"}
    before = await row(studio, claim.id)
    for wrong in ({"workspace_id": stranger.workspace_id}, {"type": "video"}):
        assert await studio.db.one("request_cancel", {**wish, **wrong}, tuple) is None
    assert await row(studio, claim.id) == before
    assert await studio.db.one("request_cancel", wish, tuple) is not None
    over = await ended(studio, sender)
    before = await row(studio, over.id)
    assert await studio.db.one("request_cancel", {**wish, "id": over.id}, tuple) is None
    assert await row(studio, over.id) == before


async def test_only_its_own_workspace_deletes_its_media(studio: Studio, sender: Principal) -> None:
    stranger, made = await studio.workspace(), (await studio.make(sender)).view.id
    files = "select deletes_at, tombstoned_at from media where generation_id = %s"
    before = await studio.rows(files, made), await row(studio, made)
    params = {"id": made, "workspace_id": stranger.workspace_id}
    assert await studio.db.all("tombstone_generation", params, tuple) == []
    assert (await studio.rows(files, made), await row(studio, made)) == before
    params["workspace_id"] = sender.workspace_id
    assert [found[0] for found in await studio.db.all("tombstone_generation", params, tuple)] == [made]


async def test_keys_are_forgotten_after_a_day(studio: Studio, sender: Principal) -> None:
    for key in ("old", "young"):
        await image(studio, sender, idempotency_key=key)
    await studio.rows(
        "update idempotency_keys set created_at = now() - case key when 'old' then interval '24 h 1 s' else interval"
        " '23 h 59 min' end where workspace_id = %s",
        sender.workspace_id,
    )
    await studio.db.run("forget_idempotency_keys", {})
    query = "select key from idempotency_keys where workspace_id = %s"
    assert await studio.rows(query, sender.workspace_id) == [("young",)]


async def test_a_key_means_nothing_in_another_workspace(studio: Studio, sender: Principal) -> None:
    stranger = await studio.workspace()
    claim = await image(studio, sender, idempotency_key="k")
    mine = await studio.db.all("find_idempotency_key", {"workspace_id": sender.workspace_id, "key": "k"}, tuple)
    assert [found[0] for found in mine] == [claim.id]
    for workspace_id, key in ((stranger.workspace_id, "k"), (sender.workspace_id, "other")):
        asked = {"workspace_id": workspace_id, "key": key}
        assert await studio.db.all("find_idempotency_key", asked, tuple) == []


async def test_which_attempts_a_repeat_belongs_to(studio: Studio, sender: Principal) -> None:
    """Those of the same key and body, for ten minutes, under way or completed with nobody to tell."""
    stranger, body = await studio.workspace(), hashlib.sha256(secrets.token_bytes(8)).digest()
    claim = await image(studio, sender, body_sha256=body)

    async def joined(key_id: int = sender.key_id, digest: bytes = body) -> list[Any]:
        return await studio.db.all("find_earlier_attempt", {"api_key_id": key_id, "body_sha256": digest}, tuple)

    assert await joined() == [(claim.id,)]
    assert await joined(stranger.key_id) == await joined(digest=b"0" * 32) == []
    await change(studio, claim.id, "created_at = now() - interval '10 min 1 s'")
    assert await joined() == []
    await change(studio, claim.id, "created_at = now()")
    await settle.fail(studio.db, claim, GenerationFailed(), unseen=True)
    assert await joined() == [], "a failure is begun anew"
    for unseen in (True, False):
        done = await image(studio, sender, body_sha256=body)
        await settle.complete(studio.db, done, (), unseen=unseen)
        assert await joined() == ([(done.id,)] if unseen else [])
        await change(studio, done.id, "created_at = now() - interval '1 h'")


async def test_what_is_seen_stays_seen_once(studio: Studio, sender: Principal) -> None:
    claim = await image(studio, sender)
    for seen, changed in ((False, 1), (False, 0), (True, 1), (True, 0)):
        assert await studio.db.run("record_seen", {"ids": [claim.id], "seen": seen}) == changed


async def test_there_is_no_place_beyond_the_limits(studio: Studio) -> None:
    busy, hurried = await studio.workspace(concurrency=1), await studio.workspace(image_rpm=1)
    await image(studio, busy)
    with pytest.raises(RateLimited, match="under way"):
        await image(studio, busy)
    await studio.rows(
        "update accounts set image_window_start = date_trunc('minute', now()), image_window_used = 1"
        " where workspace_id = %s",
        hurried.workspace_id,
    )
    with pytest.raises(RateLimited, match="a minute"):
        await image(studio, hurried)


async def test_images_and_videos_have_windows_of_their_own(studio: Studio, sender: Principal) -> None:
    async def used() -> tuple[Any, ...]:
        query = "select image_window_used, video_window_used from accounts where workspace_id = %s"
        return (await studio.rows(query, sender.workspace_id))[0]

    await image(studio, sender)
    assert await used() == (1, 0)
    await studio.submit_video(sender)
    assert await used() == (1, 1)


async def test_a_cap_is_its_own_keys(studio: Studio, sender: Principal) -> None:
    stranger = await studio.workspace()
    caps = "update api_keys set spend_cap_nanos = 100, spent_nanos = 60 where id = any(%s)"
    await studio.rows(caps, [sender.key_id, stranger.key_id])
    assert await studio.db.run("spend_from_key", {"api_key_id": sender.key_id, "held_nanos": 41}) == 0
    assert await studio.db.run("spend_from_key", {"api_key_id": sender.key_id, "held_nanos": 40}) == 1
    spent = "select spent_nanos from api_keys where id = %s"
    assert (await studio.rows(spent, sender.key_id), await studio.rows(spent, stranger.key_id)) == ([(100,)], [(60,)])


async def test_a_balance_is_its_own_workspaces(studio: Studio) -> None:
    rich, poor = await studio.workspace("10"), await studio.workspace("0")
    with pytest.raises(QuotaExceeded):
        await image(studio, poor)
    before = await studio.rows("select a::text from accounts a where workspace_id = %s", poor.workspace_id)
    await image(studio, rich)
    assert await studio.rows("select a::text from accounts a where workspace_id = %s", poor.workspace_id) == before
