"""One request, one generation, one charge: by idempotency key, and for clients that repeat without one."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from typing import Any

import httpx
import pytest

from safelight.domain.money import format_usd
from tests.money.shop import IMAGE, VIDEO, Shop, ended
from tests.support.tenants import Tenant

Clients = tuple[httpx.AsyncClient, httpx.AsyncClient]
SLOW = {**IMAGE, "model": "still-slow"}
IMAGES, VIDEOS = "/v2/images/generations", "/v2/videos/generations"


def keyed(customer: Tenant, key: str) -> dict[str, str]:
    return {**customer.headers, "Idempotency-Key": key}


def repeated(customer: Tenant, count: int = 1) -> dict[str, str]:
    return {**customer.headers, "x-stainless-retry-count": str(count)}


async def holds(shop: Shop, customer: Tenant) -> int:
    rows = await shop.query("select count(*) from transfers where kind = 'hold' and workspace_id = %s", customer.id)
    return int(rows[0][0])


async def begun(shop: Shop, customer: Tenant, count: int = 1) -> None:
    """Wait until so many generations are on record."""
    async with asyncio.timeout(60):
        while await shop.count(customer) < count:
            await asyncio.sleep(0.01)


async def left_behind(client: httpx.AsyncClient, shop: Shop, path: str, **request: Any) -> None:
    """Send a request, and leave once its generation is on record."""
    customer: Tenant = request.pop("customer")
    before = await shop.count(customer)
    task = asyncio.create_task(client.post(path, **request))
    await begun(shop, customer, before + 1)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


# By key


@pytest.mark.parametrize(("path", "body"), [(IMAGES, IMAGE), (VIDEOS, VIDEO)])
async def test_a_repeat_gets_the_same_bytes(clients: Clients, shop: Shop, path: str, body: dict[str, Any]) -> None:
    customer = await shop.customer()
    first = await clients[0].post(path, headers=keyed(customer, "k"), json=body)
    again = [await client.post(path, headers=keyed(customer, "k"), json=body) for client in clients]
    assert first.is_success
    assert "idempotent-replayed" not in first.headers
    for answer in again:
        assert answer.status_code == first.status_code
        assert answer.content == first.content
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.headers["content-type"] == first.headers["content-type"]
        assert "x-ratelimit-remaining" in answer.headers
    assert (await shop.count(customer), await holds(shop, customer)) == (1, 1)


async def test_a_repeat_of_a_video_that_has_ended_still_gets_the_first_answer(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    first = await clients[0].post(VIDEOS, headers=keyed(customer, "k"), json=VIDEO)
    await ended(clients[0], customer, first.json()["id"])
    again = await clients[1].post(VIDEOS, headers=keyed(customer, "k"), json=VIDEO)
    assert (again.status_code, again.content) == (202, first.content)


async def test_a_second_request_waits_for_the_first(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    first = asyncio.create_task(clients[0].post(IMAGES, headers=keyed(customer, "k"), json=SLOW))
    await begun(shop, customer)
    second = asyncio.create_task(clients[1].post(IMAGES, headers=keyed(customer, "k"), json=SLOW))
    one, two = await asyncio.gather(first, second)
    assert (one.status_code, two.status_code) == (200, 200)
    assert one.content == two.content
    assert (one.headers.get("idempotent-replayed"), two.headers.get("idempotent-replayed")) == (None, "true")
    assert await shop.count(customer) == 1


@pytest.mark.parametrize(("path", "body"), [(IMAGES, IMAGE), (IMAGES, SLOW), (VIDEOS, VIDEO)])
async def test_fifty_at_once_are_one(clients: Clients, shop: Shop, path: str, body: dict[str, Any]) -> None:
    customer = await shop.customer()
    answers = await asyncio.gather(
        *(clients[n % 2].post(path, headers=keyed(customer, "k"), json=body) for n in range(50))
    )
    assert {answer.is_success for answer in answers} == {True}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert (await shop.count(customer), await holds(shop, customer)) == (1, 1)


@pytest.mark.parametrize(
    ("usd", "limits"),
    [("0.05", {}), ("10", {"concurrency": 1}), ("10", {"image_rpm": 1})],
    ids=["funds", "place", "rate"],
)
async def test_fifty_at_once_are_one_where_there_is_room_for_one_only(
    clients: Clients, shop: Shop, usd: str, limits: dict[str, int]
) -> None:
    """What the first took is not held against its repeats."""
    customer = await shop.customer(usd, **limits)
    answers = await asyncio.gather(
        *(clients[n % 2].post(IMAGES, headers=keyed(customer, "k"), json=SLOW) for n in range(50))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await shop.count(customer) == 1


async def test_another_body_under_the_same_key_is_a_conflict(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    await clients[0].post(IMAGES, headers=keyed(customer, "k"), json=IMAGE)
    for path, body in ((IMAGES, {**IMAGE, "prompt": "a lake"}), (VIDEOS, VIDEO)):
        answer = await clients[1].post(path, headers=keyed(customer, "k"), json=body)
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "idempotency_conflict"
        assert answer.headers["x-should-retry"] == "false"
    assert await shop.count(customer) == 1


async def test_the_same_bytes_for_the_other_type_are_a_conflict(clients: Clients, shop: Shop) -> None:
    """A key stands for one call; the body alone does not tell which."""
    customer = await shop.customer()
    await clients[0].post(IMAGES, headers=keyed(customer, "k"), json=IMAGE)
    answer = await clients[0].post(VIDEOS, headers=keyed(customer, "k"), json=IMAGE)
    assert answer.status_code in (400, 409), answer.text


async def test_keys_are_of_the_workspace(clients: Clients, shop: Shop) -> None:
    one, two = await shop.customer(), await shop.customer()
    sibling = await shop.sibling(one)
    first = await clients[0].post(IMAGES, headers=keyed(one, "k"), json=IMAGE)
    same = await clients[1].post(IMAGES, headers=keyed(sibling, "k"), json=IMAGE)
    other = await clients[1].post(IMAGES, headers=keyed(two, "k"), json=IMAGE)
    assert same.content == first.content
    assert other.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "a\x7fb", "a\x01b"])
@pytest.mark.parametrize(("path", "body"), [(IMAGES, IMAGE), (VIDEOS, VIDEO)])
async def test_a_key_that_is_none_is_refused(
    client: httpx.AsyncClient, shop: Shop, key: str, path: str, body: dict[str, Any]
) -> None:
    customer = await shop.customer()
    answer = await client.post(path, headers=keyed(customer, key), json=body)
    assert answer.status_code == 400
    assert await shop.count(customer) == 0


async def test_the_longest_key_is_taken(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer()
    assert (await client.post(IMAGES, headers=keyed(customer, "~" * 255), json=IMAGE)).status_code == 200


async def test_a_refusal_uses_no_key(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer("0", image_rpm=1)
    key = keyed(customer, "k")
    wrong = await client.post(IMAGES, headers=key, json={**IMAGE, "resolution": "8K"})
    unknown = await client.post(IMAGES, headers={**key, "Authorization": "Bearer sk_no"}, json=IMAGE)
    poor = await client.post(IMAGES, headers=key, json={**IMAGE, "prompt": "too dear"})
    assert [answer.status_code for answer in (wrong, unknown, poor)] == [400, 401, 402]
    assert await shop.count(customer, "idempotency_keys") == 0

    rich = await shop.customer(concurrency=1)
    running = asyncio.create_task(client.post(IMAGES, headers=rich.headers, json=SLOW))
    await begun(shop, rich)
    crowded = await client.post(IMAGES, headers=keyed(rich, "k"), json={**IMAGE, "prompt": "one too many"})
    assert crowded.status_code == 429
    await running
    assert await shop.count(rich, "idempotency_keys") == 0
    answer = await client.post(IMAGES, headers=keyed(rich, "k"), json=IMAGE)
    assert answer.status_code == 200
    assert "idempotent-replayed" not in answer.headers


@pytest.mark.parametrize(("model", "status"), [("still-refused", 422), ("still-unfit", 400)])
async def test_a_failure_of_the_clients_own_doing_is_replayed(
    clients: Clients, shop: Shop, model: str, status: int
) -> None:
    """Nothing else will come of it."""
    customer = await shop.customer()
    first = await clients[0].post(IMAGES, headers=keyed(customer, "k"), json={**IMAGE, "model": model})
    again = await clients[1].post(IMAGES, headers=keyed(customer, "k"), json={**IMAGE, "model": model})
    assert (first.status_code, again.status_code) == (status, status)
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    account = await shop.settled(customer)
    assert (format_usd(account.available_nanos), await shop.count(customer)) == ("100.00", 1)


async def test_a_failure_of_ours_uses_up_no_key(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    for client in (*clients, *clients):
        answer = await client.post(IMAGES, headers=keyed(customer, "k"), json={**IMAGE, "model": "still-broken"})
        assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "true")
        assert "idempotent-replayed" not in answer.headers
    made = await clients[0].post(IMAGES, headers=keyed(customer, "k"), json=IMAGE)
    assert made.status_code == 200, "the key is free for any request"
    account = await shop.settled(customer)
    assert (format_usd(account.available_nanos), await shop.count(customer)) == ("99.95", 5)


async def test_repeats_of_a_failure_of_ours_run_once(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    await clients[0].post(IMAGES, headers=keyed(customer, "k"), json={**IMAGE, "model": "still-broken"})
    answers = await asyncio.gather(
        *(clients[n % 2].post(IMAGES, headers=keyed(customer, "k"), json=SLOW) for n in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    account = await shop.settled(customer)
    assert (format_usd(account.available_nanos), await shop.count(customer)) == ("99.95", 2)


async def test_a_video_that_failed_through_us_uses_up_no_key(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    ids = []
    for _ in range(2):
        answer = await clients[0].post(VIDEOS, headers=keyed(customer, "k"), json={**VIDEO, "model": "clip-broken"})
        ids.append(answer.json()["id"])
        assert (await ended(clients[1], customer, ids[-1]))["error"]["code"] == "generation_failed"
    assert ids[0] != ids[1]
    refused = [
        await clients[0].post(VIDEOS, headers=keyed(customer, "r"), json={**VIDEO, "model": "clip-refused"})
        for _ in range(2)
    ]
    await shop.settled(customer)
    refused.append(await clients[0].post(VIDEOS, headers=keyed(customer, "r"), json={**VIDEO, "model": "clip-refused"}))
    assert len({answer.json()["id"] for answer in refused}) == 1


async def test_a_key_goes_with_its_own_generation_alone(clients: Clients, shop: Shop) -> None:
    """Others' keys, and the workspace's other keys, stay."""
    one, two = await shop.customer(), await shop.customer()
    for customer, key in ((one, "k"), (one, "l"), (two, "k")):
        await clients[0].post(IMAGES, headers=keyed(customer, key), json=IMAGE)
    await clients[0].post(IMAGES, headers=keyed(one, "m"), json={**IMAGE, "model": "still-broken"})
    assert (await shop.count(one, "idempotency_keys"), await shop.count(two, "idempotency_keys")) == (2, 1)


async def test_a_failure_without_a_key_may_be_repeated(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer()
    answer = await client.post(IMAGES, headers=customer.headers, json={**IMAGE, "model": "still-broken"})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "true")


async def test_the_client_leaves_and_its_key_fetches_the_image(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    await left_behind(
        clients[0], shop, IMAGES, customer=customer, headers=keyed(customer, "k"), content=json.dumps(SLOW)
    )
    answer = await clients[1].post(IMAGES, headers=keyed(customer, "k"), content=json.dumps(SLOW))
    assert answer.status_code == 200
    assert answer.headers["idempotent-replayed"] == "true"
    assert (await clients[0].get(answer.json()["data"][0]["url"])).status_code == 200
    account = await shop.settled(customer)
    assert format_usd(account.available_nanos) == "99.95"


# By the client's own count of its repeats


async def test_a_repeat_joins_the_attempt_under_way(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    first = asyncio.create_task(clients[0].post(IMAGES, headers=repeated(customer, 0), json=SLOW))
    await begun(shop, customer)
    joined = await clients[1].post(IMAGES, headers=repeated(customer, 1), json=SLOW)
    assert joined.content == (await first).content
    assert joined.headers["idempotent-replayed"] == "true"
    assert await shop.count(customer) == 1


async def test_a_repeat_joins_what_ended_unseen_and_only_once(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    await left_behind(clients[0], shop, IMAGES, customer=customer, headers=repeated(customer, 0), json=SLOW)
    await shop.settled(customer)
    joined = await clients[1].post(IMAGES, headers=repeated(customer, 1), json=SLOW)
    assert joined.headers["idempotent-replayed"] == "true"
    assert await shop.count(customer) == 1
    later = await clients[1].post(IMAGES, headers=repeated(customer, 1), json=SLOW)
    assert later.json()["id"] != joined.json()["id"], "it was seen; this repeats another request"


async def test_two_repeats_of_one_request_get_one_generation(clients: Clients, shop: Shop) -> None:
    """The second attempt is left by its client as well."""
    customer = await shop.customer()
    await left_behind(clients[0], shop, IMAGES, customer=customer, headers=repeated(customer, 0), json=SLOW)
    with pytest.raises(httpx.ReadTimeout):
        await clients[1].post(IMAGES, headers=repeated(customer, 1), json=SLOW, timeout=0.3)
    last = await clients[0].post(IMAGES, headers=repeated(customer, 2), json=SLOW)
    assert last.status_code == 200
    assert await shop.count(customer) == 1


@pytest.mark.parametrize("what", ["first count", "other body", "other key", "too old", "seen", "failed"])
async def test_what_a_repeat_does_not_join(clients: Clients, shop: Shop, what: str) -> None:
    customer = await shop.customer()
    body = {**SLOW, "prompt": secrets.token_hex(4)}
    if what == "seen":
        await clients[0].post(IMAGES, headers=repeated(customer, 0), json=body)
    elif what == "failed":
        body["model"] = "still-broken"
        await clients[0].post(IMAGES, headers=repeated(customer, 0), json=body)
    else:
        await left_behind(clients[0], shop, IMAGES, customer=customer, headers=repeated(customer, 0), json=body)
        await shop.settled(customer)
    headers = repeated(customer, 0 if what == "first count" else 1)
    if what == "other body":
        body["resolution"] = "1K"
    elif what == "other key":
        headers["Authorization"] = f"Bearer {(await shop.sibling(customer)).key}"
    elif what == "too old":
        await shop.query(
            "update generations set created_at = created_at - interval '10 minutes' where workspace_id = %s",
            customer.id,
        )
    answer = await clients[1].post(IMAGES, headers=headers, json=body)
    assert "idempotent-replayed" not in answer.headers
    assert await shop.count(customer) == 2


@pytest.mark.parametrize("count", ["-1", "1.5", "one", "\u0661", ""])
async def test_a_count_that_is_none_is_no_repeat(client: httpx.AsyncClient, shop: Shop, count: str) -> None:
    customer = await shop.customer()
    headers = {**customer.headers, "x-stainless-retry-count": count.encode()}
    answers = [await client.post(VIDEOS, headers=headers, json=VIDEO) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {202}
    assert await shop.count(customer) == 2


async def test_a_repeated_video_joins_while_nobody_has_asked_about_it(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer()
    first = await clients[0].post(VIDEOS, headers=repeated(customer, 0), json=VIDEO)
    await shop.settled(customer)  # it has ended; whether the answer reached the client nobody knows
    joined = await clients[1].post(VIDEOS, headers=repeated(customer, 1), json=VIDEO)
    assert joined.content == first.content
    await ended(clients[0], customer, first.json()["id"])
    other = await clients[1].post(VIDEOS, headers=repeated(customer, 1), json=VIDEO)
    assert other.json()["id"] != first.json()["id"], "its client knows the first one"
