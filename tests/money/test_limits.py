"""Balance and limits under parallel submissions through two API processes on one database: exact, every time."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from safelight.domain.money import format_usd
from tests.money.shop import IMAGE, VIDEO, Shop, ended
from tests.support.tenants import Tenant

Clients = tuple[httpx.AsyncClient, httpx.AsyncClient]
KINDS = pytest.mark.parametrize(("path", "body", "price"), [("images", IMAGE, "0.05"), ("videos", VIDEO, "0.5")])


async def submit_many(
    clients: Clients, customer: Tenant, path: str, body: dict[str, Any], count: int
) -> list[httpx.Response]:
    """So many submissions at once, half to each process."""
    calls = [
        clients[n % 2].post(f"/v2/{path}/generations", headers=customer.headers, json={**body, "prompt": f"hill {n}"})
        for n in range(count)
    ]
    return await asyncio.gather(*calls)


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@KINDS
@pytest.mark.parametrize("attempt", [1, 2])
async def test_a_balance_for_seven_takes_exactly_seven_of_a_hundred(
    clients: Clients, shop: Shop, path: str, body: dict[str, Any], price: str, attempt: int
) -> None:
    usd = {"0.05": "0.399999", "0.5": "3.999999"}[price]
    customer = await shop.customer(usd)
    answers = await submit_many(clients, customer, path, body, 100)
    accepted = 200 if path == "images" else 202
    assert statuses(answers) == {accepted: 7, 402: 93}
    for answer in answers:
        if answer.status_code == 402:
            assert answer.json()["error"]["code"] == "quota_exceeded"
    account = await shop.settled(customer)
    assert format_usd(account.available_nanos) == {"0.05": "0.049999", "0.5": "0.499999"}[price]
    assert await shop.count(customer) == 7


@KINDS
async def test_requests_a_minute_are_exact(
    clients: Clients, shop: Shop, path: str, body: dict[str, Any], price: str
) -> None:
    customer = await shop.customer(image_rpm=7, video_rpm=7)
    answers = await submit_many(clients, customer, path, body, 60)
    windows: dict[str, list[httpx.Response]] = {}
    for answer in answers:
        windows.setdefault(answer.headers["x-ratelimit-reset"], []).append(answer)
    assert len(windows) <= 2, "a minute may end meanwhile"
    for of_window in windows.values():
        accepted = [answer for answer in of_window if answer.is_success]
        refused = [answer for answer in of_window if not answer.is_success]
        assert len(accepted) == 7 if refused else len(accepted) <= 7
        left = sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in accepted)
        assert left == list(range(7 - len(accepted), 7))
        for answer in refused:
            assert answer.status_code == 429
            assert answer.json()["error"]["code"] == "rate_limit"
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["x-ratelimit-remaining"] == "0"
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"7"}
    assert await shop.count(customer) == sum(answer.is_success for answer in answers)


async def test_images_and_videos_have_windows_of_their_own(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer(image_rpm=1, video_rpm=1)
    image, video = await asyncio.gather(
        clients[0].post("/v2/images/generations", headers=customer.headers, json=IMAGE),
        clients[1].post("/v2/videos/generations", headers=customer.headers, json=VIDEO),
    )
    assert (image.status_code, video.status_code) == (200, 202)


async def test_limits_are_of_the_workspace_not_of_the_key(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer(image_rpm=5)
    other = await shop.sibling(customer)
    stranger = await shop.customer()
    first, second = await asyncio.gather(
        submit_many(clients, customer, "images", IMAGE, 10), submit_many(clients, other, "images", IMAGE, 10)
    )
    accepted = [answer for answer in first + second if answer.is_success]
    windows = {answer.headers["x-ratelimit-reset"] for answer in first + second}
    assert len(accepted) <= 5 * len(windows)
    assert len(windows) > 1 or len(accepted) == 5
    answer = await clients[0].post("/v2/images/generations", headers=stranger.headers, json=IMAGE)
    assert answer.status_code == 200


async def test_generations_under_way_are_counted_exactly_and_free_their_place(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer(concurrency=3)
    answers = await submit_many(clients, customer, "videos", {**VIDEO, "model": "clip-endless"}, 40)
    assert statuses(answers) == {202: 3, 429: 37}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "rate_limit"
    assert refused.headers["x-ratelimit-limit"] == "100000"
    assert refused.headers["x-ratelimit-remaining"] == str(100_000 - 3), "what was refused took no place"
    image = await clients[0].post("/v2/images/generations", headers=customer.headers, json=IMAGE)
    assert image.status_code == 429, "images and videos share the places"

    for answer in answers:
        if answer.status_code == 202:
            canceled = await clients[0].delete(
                f"/v2/videos/generations/{answer.json()['id']}", headers=customer.headers
            )
            assert canceled.is_success, canceled.text
    await shop.settled(customer)
    for _ in range(2):
        again = await submit_many(clients, customer, "videos", VIDEO, 3)
        assert statuses(again) == {202: 3}, "what has ended has freed its place: canceled, and then completed"
        for answer in again:
            assert (await ended(clients[0], customer, answer.json()["id"]))["status"] == "completed"
        await shop.settled(customer)


async def test_a_failed_generation_frees_its_place(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer(concurrency=1)
    for _ in range(3):
        answer = await clients[0].post(
            "/v2/images/generations", headers=customer.headers, json={**IMAGE, "model": "still-broken"}
        )
        assert answer.status_code == 502
    answer = await clients[1].post("/v2/images/generations", headers=customer.headers, json=IMAGE)
    assert answer.status_code == 200


async def test_polling_is_free_and_tells_the_limits(clients: Clients, shop: Shop) -> None:
    customer = await shop.customer(video_rpm=2)
    created = await clients[0].post("/v2/videos/generations", headers=customer.headers, json=VIDEO)
    polls = [
        await clients[n % 2].get(f"/v2/videos/generations/{created.json()['id']}", headers=customer.headers)
        for n in range(10)
    ]
    assert statuses(polls) == {200: 10}
    for name in ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"):
        assert all(poll.headers[name].isdecimal() for poll in polls)
