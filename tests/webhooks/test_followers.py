"""A workspace's events in their order: none is missed, told twice or out of turn, and a gap is never silent."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from safelight.domain.errors import ContentPolicyViolation, InvalidParameter, NotFound, RateLimited
from safelight.domain.events import EventType
from safelight.keeping.erase import erase_workspace
from safelight.lifecycle import followers
from safelight.lifecycle.followers import MOST_TESTS, Place, events_behind, place_behind, tell_test_event
from safelight.lifecycle.notify import announce, expire_events
from tests.webhooks.world import WORKSPACE, World, until

pytestmark = pytest.mark.database

EVERYBODY = "https://hooks.example.com/all"
TELLERS, EVENTS_EACH = 8, 25
NOBODY = "evt_" + "0" * 32


async def here(world: World, event_id: str | None = None) -> Place:
    return await place_behind(world.db, world.principal.workspace_id, event_id, param="after")


async def behind(world: World, place: Place) -> list[str]:
    """The ids of the events behind the place, up to now."""
    stream = events_behind(world.parts.viewing, world.principal.workspace_id, place, quiet_seconds=0)
    found: list[str] = []
    async for events in stream:
        if not events:
            break
        found += [event.event_id for event in events]
    return found


async def told(world: World) -> list[str]:
    return [row[0] for row in await world.rows("select event_id from followed_events order by number")]


async def refuse(world: World, category: str = "a test") -> None:
    payload = {"category": category, "param": "prompt"}
    await announce(world.db, world.principal.workspace_id, EventType.MODERATION_REFUSED, payload)


# What is told


async def test_what_happens_is_behind_the_place_in_its_order(world: World) -> None:
    place = await here(world)
    failed = await world.end(count=3)
    made = await world.complete()
    found = await behind(world, place)
    query = "select v.generation_id from followed_events f join events v on v.id = f.event_id order by f.number"
    assert [row[0] for row in await world.rows(query)] == [None, *failed, made]
    assert found == (await told(world))[1:]
    assert await behind(world, Place(number=place.number + 2, event_id=found[1])) == found[2:]
    assert await world.one("select count(*) from deliveries") == (0,)


async def test_who_does_not_follow_changes_nothing(world: World) -> None:
    """Nothing is written where nobody listens, nor once following has lapsed."""
    await world.end()
    assert await world.one("select count(*) from events") == (0,)
    await here(world)
    await world.rows("update followed_workspaces set until = now() - interval '1 second'")
    before = await world.rows("select * from followed_workspaces")
    await world.end()
    assert await world.one("select count(*) from events") == (1,), "the beginning alone"
    assert await world.rows("select * from followed_workspaces") == before


async def test_endpoints_and_followers_are_told_of_one_event(world: World) -> None:
    place = await here(world)
    await world.endpoint(EVERYBODY, "generation.failed")
    await world.end()
    await refuse(world)
    found = await behind(world, place)
    assert await world.rows("select id from events where generation_id is not null") == [(found[0],)]
    assert await world.rows("select event_id from deliveries") == [(found[0],)]
    assert len(found) == 2


async def test_an_event_that_is_rolled_back_leaves_no_number_out(world: World) -> None:
    place = await here(world)
    await world.settle_and_roll_back(await world.accept())
    assert await behind(world, place) == []
    await world.end()
    assert await world.rows("select number from followed_events order by number") == [(1,), (2,)]


async def test_workers_are_woken_for_endpoints_and_followers_are_told_at_the_commit(world: World) -> None:
    place = await here(world)
    heard: list[str] = []

    async def follow() -> None:
        stream = events_behind(world.parts.viewing, world.principal.workspace_id, place, quiet_seconds=3600)
        async for events in stream:
            heard.extend(event.type for event in events)

    following = asyncio.create_task(follow())
    async with world.db.connection() as hears:
        await hears.execute("listen deliveries")
        notified = hears.notifies(timeout=30, stop_after=1)
        await refuse(world)
        await world.endpoint(EVERYBODY)
        claim = await world.accept()
        await world.settle_and_roll_back(claim)
        assert await world.db.run("settle", world.settle_params(claim)) == 1
        assert [notification.channel async for notification in notified] == ["deliveries"]
        await hears.execute("unlisten *")
    await until(lambda: heard == ["moderation.refused", "generation.failed"])
    following.cancel()


async def test_the_loss_of_the_session_that_hears_is_a_reason_to_look(world: World) -> None:
    """A notification that is sent meanwhile is heard by nobody."""
    place = await here(world)
    heard: list[str] = []
    changes = world.parts.running.changes

    async def follow() -> None:
        stream = events_behind(world.parts.viewing, world.principal.workspace_id, place, quiet_seconds=3600)
        async for events in stream:
            heard.extend(event.type for event in events)

    following = asyncio.create_task(follow())
    await until(lambda: changes.heard_seconds > 0)
    cut = """
        select pg_terminate_backend(pid) from pg_stat_activity
        where query ilike 'listen safelight%' and datname = current_database()
    """
    await world.rows(f"begin; {cut}; select record_event(1, 'balance.low', null, '{{}}', null); commit")
    await until(lambda: heard == ["balance.low"])
    following.cancel()


# The moment at which following begins


async def test_who_begins_to_follow_waits_for_what_is_being_settled(world: World) -> None:
    """Its event was told to nobody, so it must not be committed after the place is given: a look then sees its end."""
    claim = await world.accept()
    async with world.db.connection() as connection, connection.transaction():
        await connection.execute(
            "update accounts set in_flight = in_flight where workspace_id = %s", [claim.workspace_id]
        )
        beginning = asyncio.create_task(here(world))
        waits = "select count(*) from pg_locks where not granted and locktype in ('transactionid', 'tuple')"
        while await world.one(waits) == (0,):
            await asyncio.sleep(0)
        assert not beginning.done()
        assert await world.one("select count(*) from followed_workspaces") == (0,)
    place = await beginning
    assert await world.db.run("settle", world.settle_params(claim)) == 1
    assert len(await behind(world, place)) == 1


async def test_many_who_begin_at_once_begin_at_one_place(world: World) -> None:
    places = await asyncio.gather(*[here(world) for _ in range(8)])
    assert {place.event_id for place in places} == {places[0].event_id}
    assert await world.one("select count(*) from events") == (1,)


# A gap is never silent


async def test_who_comes_back_goes_on_and_no_gap_is_silent(world: World) -> None:
    first = await here(world)
    await world.end(count=2)
    ids = await behind(world, first)
    assert await here(world, ids[0]) == Place(number=2, event_id=ids[0])
    await world.rows("update followed_workspaces set until = now() - interval '1 second'")
    for known in (first.event_id, *ids):
        with pytest.raises(InvalidParameter, match=r"no longer known.*List the generations") as caught:
            await here(world, known)
        assert caught.value.param == "after"
    again = await here(world)
    assert again.number == 5, "a number is left out, where something may have been"
    await world.end()
    assert len(await behind(world, again)) == 1
    assert await here(world, again.event_id) == again
    assert await behind(world, first) == [*ids], "up to the gap"


@pytest.mark.parametrize("event_id", [NOBODY, "of another workspace"])
async def test_an_event_that_is_not_on_record_is_refused(world: World, event_id: str) -> None:
    if event_id != NOBODY:
        row = await world.db.one("create_workspace", {"name": "other"}, tuple)
        assert row is not None
        (workspace_id,) = await world.one("select id from workspaces where name = 'other'")
        event_id = (await place_behind(world.db, workspace_id, None, param="after")).event_id
    with pytest.raises(InvalidParameter, match="no longer known"):
        await here(world, event_id)


async def test_old_events_go_and_the_newest_stays_for_who_comes_back(world: World) -> None:
    place = await here(world)
    await world.end(count=3)
    ids = await behind(world, place)
    await world.rows("update events set created_at = now() - interval '31 days'")
    assert await expire_events(world.db) == 3
    assert await told(world) == ids[-1:]
    assert await here(world, ids[-1]) == Place(number=4, event_id=ids[-1])
    for gone in (place.event_id, *ids[:-1]):
        with pytest.raises(InvalidParameter):
            await here(world, gone)
    await world.rows("update followed_workspaces set until = now() - interval '1 second'")
    assert await expire_events(world.db) == 1


async def test_what_is_gone_from_the_middle_is_a_gap(world: World) -> None:
    place = await here(world)
    await world.end(count=3)
    ids = await behind(world, place)
    await world.rows(f"delete from events where id = '{ids[1]}'")
    with pytest.raises(InvalidParameter):
        await here(world, ids[0])
    assert await here(world, ids[1 + 1]) == Place(number=4, event_id=ids[2])


async def test_an_endpoint_that_goes_takes_no_event_from_who_follows(world: World) -> None:
    place = await here(world)
    endpoint = await world.endpoint(EVERYBODY)
    await world.end(count=2)
    for _ in range(2):
        await world.db.one("forget_deliveries", {"endpoint_id": endpoint.id}, tuple)
    assert await world.one("select count(*) from deliveries") == (0,)
    assert len(await behind(world, place)) == 2


async def test_following_is_put_off_while_somebody_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place = await here(world)
    monkeypatch.setattr(followers, "_RENEW_SECONDS", -1.0)
    await world.rows("update followed_workspaces set until = now() + interval '1 hour'")
    await behind(world, place)
    kept = f"select until > now() + interval '{followers.KEPT_SECONDS - 60} seconds' from followed_workspaces"
    assert await world.one(kept) == (True,)
    await world.rows("update followed_workspaces set until = now() - interval '1 hour'")
    await behind(world, place)
    assert await world.one("select until < now() from followed_workspaces") == (True,), "what lapsed stays so"


async def test_erasing_a_workspace_erases_what_its_followers_had(world: World) -> None:
    place = await here(world)
    await world.endpoint(EVERYBODY)
    await world.end()
    await refuse(world, "a canary")
    assert len(await behind(world, place)) == 2
    await erase_workspace(world.parts.keeping, WORKSPACE)
    for table in ("events", "followed_events", "followed_workspaces"):
        assert await world.one(f"select count(*) from {table}") == (0,)
    with pytest.raises(NotFound):
        await here(world)


# Test events


async def test_a_test_event_goes_to_whoever_listens(world: World) -> None:
    tell = tell_test_event(world.db, world.principal.workspace_id, EventType.BALANCE_LOW, {"balance": "1"})
    assert await tell is None
    assert await world.one("select count(*) from events") == (0,)
    place = await here(world)
    event_id = await tell_test_event(world.db, world.principal.workspace_id, EventType.BALANCE_LOW, {"balance": "1"})
    assert await behind(world, place) == [event_id]


async def test_a_workspace_tells_itself_so_many_test_events_a_minute(world: World) -> None:
    await here(world)

    async def tell() -> str | None:
        return await tell_test_event(world.db, world.principal.workspace_id, EventType.BALANCE_LOW, {})

    for _ in range(MOST_TESTS - 1):  # the beginning counts, too
        assert await tell() is not None
    with pytest.raises(RateLimited, match="Wait"):
        await tell()
    await world.rows("update events set created_at = created_at - interval '61 seconds'")
    assert await tell() is not None


# Many at once


@pytest.mark.parametrize("seed", range(4))
async def test_each_is_seen_once_and_in_order_whoever_commits_late(world: World, seed: int) -> None:
    """Transactions tell events, wait, and are committed or rolled back, while followers poll with their cursors."""
    start = await here(world)
    kept: list[str] = []

    async def tell_some(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        for _ in range(EVENTS_EACH):
            async with world.db.connection() as connection:
                with contextlib.suppress(_Undone):
                    async with connection.transaction():
                        await asyncio.sleep(chance.random() / 500)
                        cursor = await connection.execute(
                            "select record_event(%s, 'balance.low', null, '{}', null)", [world.principal.workspace_id]
                        )
                        row = await cursor.fetchone()
                        await asyncio.sleep(chance.random() / 500)
                        if chance.random() < 0.3:
                            raise _Undone
                    assert row is not None
                    kept.append(row[0])

    followed = [asyncio.create_task(_follow(world, start)) for _ in range(3)]
    polled = asyncio.create_task(_poll(world, start, random.Random(seed)))
    await asyncio.gather(*[tell_some(number) for number in range(TELLERS)])
    await world.rows(f"select record_event({world.principal.workspace_id}, 'balance.low', null, '{{}}', null)")
    in_order = (await told(world))[1:]
    assert sorted(in_order[:-1]) == sorted(kept)
    assert await world.rows("select number from followed_events order by number") == [
        (number,) for number in range(1, len(kept) + 3)
    ]
    for seen in (*followed, polled):
        async with asyncio.timeout(60):
            while len(_seen[seen]) < len(in_order):
                await asyncio.sleep(0.01)
        assert _seen[seen] == in_order
        seen.cancel()


class _Undone(Exception):
    pass


_seen: dict[asyncio.Task[None], list[str]] = {}


async def _ids(world: World, place: Place) -> AsyncIterator[str]:
    stream = events_behind(world.parts.viewing, world.principal.workspace_id, place, quiet_seconds=3600)
    async for events in stream:
        for event in events:
            yield event.event_id


async def _follow(world: World, start: Place) -> None:
    """All in one stream."""
    mine = _seen.setdefault(_current(), [])
    async for event_id in _ids(world, start):
        mine.append(event_id)


async def _poll(world: World, start: Place, chance: random.Random) -> None:
    """A stream that breaks off after a few, again and again, and comes back with the last id it was told."""
    mine, place = _seen.setdefault(_current(), []), start
    while True:
        left = chance.randint(1, 5)
        async for event_id in _ids(world, place):
            mine.append(event_id)
            left -= 1
            if not left:
                break
        place = await here(world, mine[-1])


def _current() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


# Locks


async def test_ends_refusals_erasure_and_endpoints_that_go_wait_for_each_other_and_never_in_a_circle(
    world: World,
) -> None:
    """Whatever takes the same rows, at once and in a loop: PostgreSQL would end one of a circle with an error."""
    await here(world)
    endpoints = [await world.endpoint(f"{EVERYBODY}{number}") for number in range(6)]

    async def end_some() -> None:
        for _ in range(10):
            await world.end(error=ContentPolicyViolation())

    async def refuse_some() -> None:
        for _ in range(20):
            await refuse(world)

    async def delete_endpoints() -> None:
        for endpoint in endpoints:
            while (gone := await world.db.one("forget_deliveries", {"endpoint_id": endpoint.id}, tuple)) and gone[0]:
                pass
            await world.db.run("delete_endpoint", {"endpoint_id": endpoint.id})

    async def begin_some() -> None:
        for _ in range(10):
            await here(world)

    async def expire_some() -> None:
        for _ in range(10):
            await expire_events(world.db)

    lapsing = world.rows("update followed_workspaces set until = now()")
    busy = [end_some(), end_some(), refuse_some(), refuse_some(), delete_endpoints(), begin_some(), expire_some()]
    await asyncio.gather(*busy, lapsing)
    await here(world)
    await asyncio.gather(erase_workspace(world.parts.keeping, WORKSPACE), refuse_some(), refuse_some())
