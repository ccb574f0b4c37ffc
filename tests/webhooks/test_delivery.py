"""Deliveries to real receivers. Waits are over when a test moves the clock columns, not when time passes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from safelight.accounts.webhooks import (
    delete_endpoint,
    enable_endpoint,
    list_deliveries,
    list_endpoints,
    redeliver,
    rotate_secret,
)
from safelight.domain.errors import GenerationFailed, NotFound
from safelight.domain.scope import OPERATOR
from safelight.lifecycle.notify import expire_events
from safelight.outbound.policy import OutboundPolicy
from safelight.webhooks.schedule import DELAYS_SECONDS
from tests.webhooks.receiver import Receiver
from tests.webhooks.world import World, until

pytestmark = pytest.mark.database

OpenReceiver = Callable[[], Awaitable[Receiver]]


async def test_what_is_sent_is_signed_and_says_what_the_get_says(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver.url)
    made = await world.complete()
    assert await world.deliver() == 1
    (told,) = receiver.received
    assert told.is_signed_with(endpoint.secret)
    assert told.headers["content-type"] == "application/json"
    assert told.json["type"] == "generation.completed"
    happened_at = datetime.fromisoformat(told.json["timestamp"])
    (finished_at,) = await world.one("select finished_at from generations")
    assert abs((happened_at - finished_at).total_seconds()) < 0.001
    data = told.json["data"]
    assert (data["id"], data["status"], data["model"]) == (made, "completed", "tiny")
    assert data["data"][0]["url"].startswith("http") and "sig=" in data["data"][0]["url"]
    assert data["usage"]["total_cost"] == 0.03
    assert await world.one("select state::text, last_status, last_error from deliveries") == ("delivered", 204, None)
    assert "sig=" not in str(await world.rows("select * from events, deliveries"))
    await world.make_due()
    assert await world.deliver() == 0, "delivered is delivered"


async def test_a_failure_and_a_low_balance_are_told_too(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url, "generation.failed", "balance.low")
    for _ in range(2):
        await world.end(error=GenerationFailed())
    await world.deliver()
    assert [told.json["data"]["status"] for told in receiver.received] == ["failed", "failed"]
    assert receiver.received[0].json["data"]["error"]["code"] == "generation_failed"
    await world.credit(-4_990_000_000)
    await world.accept()
    await world.deliver()
    assert receiver.received[-1].json["type"] == "balance.low"
    assert receiver.received[-1].json["data"] == {"balance": "4.98", "currency": "USD"}


async def test_the_address_of_a_request_is_signed_with_the_workspace_s_secret(world: World, receiver: Receiver) -> None:
    secret = (await world.endpoint(None)).secret
    (made,) = await world.end(webhook_url=receiver.url + "/mine")
    await world.deliver()
    (told,) = receiver.received
    assert told.is_signed_with(secret)
    assert told.json["data"]["id"] == made


async def test_attempts_share_an_id_and_have_a_timestamp_each(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await world.endpoint(receiver.url, "generation.failed")
    receiver.status = 500
    await world.end()
    clock = int(time.time()) - 200
    for _ in range(3):
        clock += 60
        monkeypatch.setattr("safelight.webhooks.sender.time.time", lambda now=clock: float(now))
        assert await world.deliver() == 1
        await world.make_due()
    assert len({told.id for told in receiver.received}) == 1
    assert [int(told.headers["webhook-timestamp"]) for told in receiver.received] == [clock - 120, clock - 60, clock]
    assert len({told.headers["webhook-signature"] for told in receiver.received}) == 3
    assert all(told.is_signed_with(endpoint.secret) for told in receiver.received)
    assert len({told.body for told in receiver.received}) == 1


async def test_failed_attempts_follow_the_schedule_to_its_end(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url, "generation.failed")
    receiver.status = 503
    await world.end()
    async with world.delivery() as delivery:
        for attempt, delay_seconds in enumerate([*DELAYS_SECONDS[1:], None], start=1):
            assert await delivery.deliver_due() == 1
            assert await delivery.deliver_due() == 0, "not before it is due"
            state, attempts, wait = await world.one(
                "select state::text, attempts, extract(epoch from next_attempt_at - last_attempt_at)::float"
                " from deliveries"
            )
            assert attempts == attempt
            if delay_seconds is None:
                assert state == "failed"
            else:
                assert state == "pending"
                # The wait starts at the answer, a moment after the attempt.
                assert delay_seconds <= wait <= 1.1 * delay_seconds + 10
            await world.make_due()
    assert len(receiver.received) == 10
    assert await world.deliver() == 0
    assert await world.one("select last_status, last_error, ended_at is not null from deliveries") == (
        503,
        "status",
        True,
    )


async def test_retry_after_is_honoured(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url, "generation.failed")
    receiver.status, receiver.headers = 429, {"Retry-After": "1000"}
    await world.end()
    await world.deliver()
    (wait,) = await world.one("select extract(epoch from next_attempt_at - last_attempt_at)::float from deliveries")
    assert 1000 <= wait <= 1110


async def test_a_redirect_is_not_followed(world: World, receiver: Receiver, open_receiver: OpenReceiver) -> None:
    other = await open_receiver()
    await world.endpoint(receiver.url, "generation.failed")
    receiver.status, receiver.headers = 307, {"Location": other.url}
    await world.end()
    await world.deliver()
    assert (len(receiver.received), len(other.received)) == (1, 0)
    assert await world.one("select state::text, last_status, last_error from deliveries") == (
        "pending",
        307,
        "redirect",
    )


async def test_every_attempt_is_refused_a_private_address(world: World, receiver: Receiver) -> None:
    await world.endpoint("https://hooks.example.com/", "generation.failed")
    await world.end()
    asked: list[str] = []

    async def rebound(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) > 1 else ["10.0.0.8"]

    async with world.delivery(policy=OutboundPolicy(), lookup=rebound) as delivery:
        for _ in range(3):
            assert await delivery.deliver_due() == 1
            assert await world.one("select last_status, last_error from deliveries") == (None, "denied_address")
            await world.make_due()
    assert asked == ["hooks.example.com"] * 3, "looked up anew each time"
    await world.rows(f"update webhook_endpoints set url = '{receiver.url}'")
    async with world.delivery(policy=OutboundPolicy()) as delivery:
        await delivery.deliver_due()
    assert await world.one("select last_error from deliveries") == ("bad_url",)
    assert receiver.received == []


async def test_gone_disables_the_endpoint(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver.url, "generation.failed")
    receiver.status = 410
    await world.end(count=3)
    async with world.delivery(lane_slots=1) as delivery:
        await delivery.deliver_due()
    assert len(receiver.received) == 1
    assert await world.rows("select state::text, last_error from deliveries order by id") == [
        ("failed", "status"),
        ("failed", "endpoint_disabled"),
        ("failed", "endpoint_disabled"),
    ]
    (listed,) = await list_endpoints(OPERATOR, world.db)
    assert listed.disabled_at is not None and listed.pending == 0
    await world.end()
    assert await world.deliver() == 0
    with pytest.raises(NotFound):
        await redeliver(OPERATOR, world.db, delivery_id=1)
    await enable_endpoint(OPERATOR, world.db, endpoint.id)
    receiver.status = 200
    assert len(await redeliver(OPERATOR, world.db, endpoint_id=endpoint.id)) == 3
    assert await redeliver(OPERATOR, world.db, endpoint_id=endpoint.id) == [], "they are on their way"
    await world.deliver()
    assert len(receiver.received) == 4
    assert await redeliver(OPERATOR, world.db, endpoint_id=endpoint.id) == []


async def test_gone_for_a_request_s_address_ends_that_delivery_alone(world: World, receiver: Receiver) -> None:
    receiver.status = 410
    await world.end(webhook_url=receiver.url)
    await world.deliver()
    receiver.status = 200
    await world.end(webhook_url=receiver.url)
    await world.deliver()
    assert await world.rows("select state::text from deliveries order by id") == [("failed",), ("delivered",)]


async def test_the_old_secret_signs_beside_the_new_one_for_a_while(world: World, receiver: Receiver) -> None:
    old = await world.endpoint(receiver.url, "generation.failed")
    new = await rotate_secret(OPERATOR, world.db, old.id, keep_seconds=3600)
    await world.end()
    await world.deliver()
    assert receiver.received[0].is_signed_with(old.secret)
    assert receiver.received[0].is_signed_with(new.secret)
    await world.rows("update webhook_endpoints set previous_until = now()")
    await world.end()
    await world.deliver()
    assert not receiver.received[1].is_signed_with(old.secret)
    assert receiver.received[1].is_signed_with(new.secret)
    newest = await rotate_secret(OPERATOR, world.db, old.id, keep_seconds=0)
    await world.end()
    await world.deliver()
    assert not receiver.received[2].is_signed_with(new.secret)
    assert receiver.received[2].is_signed_with(newest.secret)


async def test_redelivery_keeps_the_id_and_the_log(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url, "generation.failed")
    await world.end()
    await world.deliver()
    (first,) = await list_deliveries(OPERATOR, world.db)
    (second_id,) = await redeliver(OPERATOR, world.db, delivery_id=first.id)
    await world.deliver()
    assert len(receiver.received) == 2
    assert receiver.received[0].id == receiver.received[1].id == first.event_id
    log = await list_deliveries(OPERATOR, world.db, state="delivered")
    assert [record.id for record in log] == [second_id, first.id]
    with pytest.raises(NotFound):
        await redeliver(OPERATOR, world.db, delivery_id=999_999)


async def test_an_endpoint_that_hangs_delays_nobody_else(
    world: World, receiver: Receiver, open_receiver: OpenReceiver
) -> None:
    hanging = await open_receiver()
    hanging.hangs = True
    await world.endpoint(hanging.url, "generation.failed")
    await world.end(count=20)
    await world.endpoint(receiver.url, "generation.failed")
    await world.end(count=5)
    async with world.delivery(lane_slots=2, slots=8, timeout_seconds=60) as delivery:
        delivery.start()
        await until(lambda: len(receiver.received) == 5)
        assert 1 <= len(hanging.received) <= 2
        await world.end(webhook_url=receiver.url)  # while the other still hangs
        await until(lambda: len(receiver.received) == 7)
        assert len(hanging.received) <= 2
        hanging.hangs = False
        hanging.released.set()
        await until(lambda: len(hanging.received) == 26)


async def test_one_that_hangs_is_given_up_and_tried_again(world: World, receiver: Receiver) -> None:
    receiver.hangs = True
    await world.endpoint(receiver.url, "generation.failed")
    await world.end()
    async with world.delivery(timeout_seconds=0.2) as delivery:
        await delivery.deliver_due()
    assert await world.one("select state::text, last_error from deliveries") == ("pending", "timeout")


async def test_an_attempt_that_ended_makes_room_for_the_next(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.endpoint(receiver.url)
    await world.end(count=5)
    monkeypatch.setattr("safelight.lifecycle.notify._POLL_SECONDS", 3600.0)  # by itself it would not look again
    async with world.delivery(lane_slots=1) as delivery:
        delivery.start()
        await until(lambda: len(receiver.received) == 5)


async def test_a_notification_wakes_a_worker(world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.endpoint(receiver.url, "generation.failed")
    monkeypatch.setattr("safelight.lifecycle.notify._POLL_SECONDS", 3600.0)  # by itself it would not look again
    async with world.delivery() as delivery:
        delivery.start()
        listens = "select count(*) from pg_stat_activity where query like 'listen deliveries%'"
        while await world.one(listens) == (0,):
            await asyncio.sleep(0)
        for number in (1, 2):
            await world.end()
            await until(lambda expected=number: len(receiver.received) == expected)  # type: ignore[misc]


async def test_another_worker_takes_over_what_was_abandoned(world: World, receiver: Receiver) -> None:
    receiver.hangs = True
    await world.endpoint(receiver.url, "generation.failed")
    await world.end()
    async with world.delivery() as dead:
        zombie = asyncio.create_task(dead.deliver_due())
        await until(lambda: len(receiver.received) == 1)
        assert await world.deliver() == 0, "the lease holds"
        await world.make_due()  # as if the lease were over
        receiver.hangs = False
        assert await world.deliver() == 1
        (before,) = await world.rows("select * from deliveries")
        receiver.status = 500  # what the one that was presumed dead hears in the end
        receiver.released.set()
        await zombie
    assert (await world.rows("select * from deliveries")) == [before], "and may not write"
    assert before is not None
    assert await world.one("select state::text, attempts from deliveries") == ("delivered", 2)
    assert receiver.received[0].id == receiver.received[1].id


async def test_two_workers_share(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url, "generation.failed")
    await world.end(count=30)
    async with world.delivery(lane_slots=30, slots=128) as one, world.delivery(lane_slots=30, slots=128) as two:
        counts = await asyncio.gather(one.deliver_due(), two.deliver_due())
    assert sum(counts) == 30
    assert len({told.id for told in receiver.received}) == len(receiver.received) == 30


async def test_a_stop_hands_back_what_is_under_way(world: World, receiver: Receiver) -> None:
    receiver.hangs = True
    await world.endpoint(receiver.url, "generation.failed")
    await world.end()
    async with world.delivery() as stopped:
        stopped.start()
        await until(lambda: len(receiver.received) == 1)
    receiver.hangs = False
    assert await world.deliver() == 1
    assert await world.one("select state::text, attempts from deliveries") == ("delivered", 2)


async def test_workers_that_die_at_it_do_not_keep_it_for_ever(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url, "generation.failed")
    await world.end()
    await world.rows("update deliveries set attempts = 10")
    await world.deliver()
    assert receiver.received == []
    assert await world.one("select state::text, last_error from deliveries") == ("failed", "lost")


async def test_a_deleted_endpoint_takes_its_deliveries_along(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver.url, "generation.failed")
    await world.end()
    await world.end(webhook_url=receiver.url)
    await delete_endpoint(OPERATOR, world.db, endpoint.id)
    assert await world.one("select count(*) from events") == (1,)
    assert await world.deliver() == 1
    with pytest.raises(NotFound):
        await delete_endpoint(OPERATOR, world.db, endpoint.id)


async def test_what_failed_is_sent_again_once_by_two_who_ask_at_once(world: World, receiver: Receiver) -> None:
    endpoint = await world.endpoint(receiver.url)
    for _ in range(3):
        await world.complete()
    await world.rows("update deliveries set state = 'failed', ended_at = now(), last_error = 'timeout' returning id")
    db = world.parts.db
    waiting = "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
    async with db.connection() as other, other.transaction():
        await other.execute("select from webhook_endpoints for update")
        both = [asyncio.create_task(redeliver(OPERATOR, db, endpoint_id=endpoint.id)) for _ in range(2)]
        async with asyncio.timeout(20):
            while (await (await other.execute(waiting)).fetchone())[0] < 2:
                await asyncio.sleep(0.02)
    assert sorted([len(await each) for each in both]) == [0, 3]


async def test_the_log_is_kept_for_a_month(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url, "generation.failed")
    await world.end(count=2)
    async with world.delivery(lane_slots=1) as delivery:
        await delivery.deliver_due()
    await world.rows("update events set created_at = now() - interval '29 days'")
    assert await expire_events(world.db) == 0
    await world.rows("update events set created_at = now() - interval '31 days'")
    assert await expire_events(world.db) == 1, "not what still waits"
    assert await world.one("select count(*) from deliveries where state = 'pending'") == (1,)


async def test_the_lease_outlasts_an_attempt(world: World, receiver: Receiver) -> None:
    receiver.hangs = True
    await world.endpoint(receiver.url, "generation.failed")
    await world.end()
    async with world.delivery() as delivery:
        attempt = asyncio.create_task(delivery.deliver_due())
        await until(lambda: len(receiver.received) == 1)
        (lease,) = await world.one("select extract(epoch from next_attempt_at - last_attempt_at)::int from deliveries")
        assert lease == 60
        receiver.released.set()
        await attempt


async def test_an_endpoint_that_was_disabled_meanwhile_is_told_nothing(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url)
    await world.end()
    await world.rows("update webhook_endpoints set disabled_at = now(), disabled_reason = 'a test'")
    assert await world.deliver() == 1
    assert receiver.received == []
    assert await world.one("select state::text, last_error from deliveries") == ("failed", "endpoint_disabled")


async def test_what_is_heard_of_an_attempt_that_was_given_up_changes_nothing(world: World, receiver: Receiver) -> None:
    """Another attempt is under way since."""
    await world.endpoint(receiver.url)
    await world.end()
    await world.rows("update deliveries set attempts = 2, next_attempt_at = now() + interval '1 min'")
    said = {"state": "delivered", "status": 204, "error": None, "delay_seconds": None}
    said |= {"headers": None, "duration_ms": None, "response": None}
    (id_,) = await world.one("select id from deliveries")
    assert await world.db.run("record_delivery", {"id": id_, "attempts": 1, **said}) == 0
    assert await world.one("select state::text, last_status from deliveries") == ("pending", None)
    assert await world.db.run("record_delivery", {"id": id_, "attempts": 2, **said}) == 1
