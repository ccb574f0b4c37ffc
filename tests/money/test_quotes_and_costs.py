"""Quotes say what the generation then does; costs add up to the last digit over any range of days."""

from __future__ import annotations

import itertools
import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from safelight.domain.ids import new_generation_id
from safelight.domain.money import format_usd
from tests.money.shop import IMAGE, VIDEO, Shop, ended
from tests.outbound import spellings
from tests.support.tenants import Tenant

Clients = tuple[httpx.AsyncClient, httpx.AsyncClient]
COSTS = "/v2/billing/costs"


def exact(answer: httpx.Response) -> Any:
    """The body with its numbers as they were written."""
    return json.loads(answer.content, parse_float=Decimal, parse_int=Decimal)


# Quotes


def with_image(url: str) -> dict[str, Any]:
    return {**IMAGE, "images": [{"url": url}]}


WRONG: list[tuple[str, Any]] = [
    *(("images", body) for body in ({}, [], 5, {**IMAGE, "model": "none"}, {**IMAGE, "model": "clip"})),
    *(("images", {**IMAGE, **more}) for more in ({"prompt": ""}, {"aspect_ratio": "9:1"}, {"resolution": "8K"})),
    *(("images", {**IMAGE, **more}) for more in ({"output_format": "gif"}, {"duration": 5}, {"prompt": None})),
    ("images", {"model": "still"}),
    *(("images", with_image(url)) for url in ("", "x", "http://example.com/a.png", "https://a@example.com/a.png")),
    *(("images", with_image(url)) for url in ("https://localhost/a", "ftp://example.com/a", "iVBORw0KGgo" * 20)),
    *(("images", with_image(url)) for url in ("data:image/png;base64,!!!!", "data:image/svg+xml;base64,AAAA")),
    ("images", {**IMAGE, "images": [{"url": "https://example.com/a.png"}] * 3}),
    ("images", {**IMAGE, "images": [{"url": "https://example.com/a.png", "role": "first_frame"}]}),
    *(("videos", {**VIDEO, **more}) for more in ({"duration": 6}, {"duration": True}, {"duration": "5"})),
    *(("videos", {**VIDEO, **more}) for more in ({"sound": "yes"}, {"output_format": "png"}, {"model": "still"})),
    ("videos", {**VIDEO, "images": [{"url": "https://example.com/a.png"}]}),
    ("videos", {**VIDEO, "images": [{"url": "https://example.com/a.png", "role": "last_frame"}]}),
    ("videos", {**VIDEO, "images": [{"url": "http://example.com/a.png", "role": "first_frame"}]}),
]


@pytest.mark.parametrize(("kind", "body"), WRONG)
async def test_a_quote_refuses_what_the_generation_refuses(
    client: httpx.AsyncClient, shop: Shop, kind: str, body: Any
) -> None:
    customer = await shop.customer()
    quoted = await client.post(f"/v2/{kind}/generations/quote", headers=customer.headers, json=body)
    made = await client.post(f"/v2/{kind}/generations", headers=customer.headers, json=body)
    assert (quoted.status_code, quoted.json()) == (made.status_code, made.json())
    assert quoted.status_code == 400


PRIVATE = ["10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "168.63.129.16", "0.0.0.0"]
PRIVATE += ["224.0.0.1", "255.255.255.255", "[::1]", "[fd00::1]", "[fe80::1]", "[64:ff9b::a00:1]", "[2002:a00:1::]"]
UNREACHABLE = [f"https://{host}/hook" for host in (*spellings.LOOPBACK_SPELLINGS, *PRIVATE)]
UNREACHABLE += [
    "http://example.com/",
    "https://example.com:8443/",
    "https://a:b@example.com/",
    "",
    "/done",
    "ftp://x.com/",
]


@pytest.mark.parametrize("field", ["webhook_url", "images"])
async def test_no_spelling_of_an_address_that_is_not_reached_passes_a_quote(
    client: httpx.AsyncClient, shop: Shop, field: str
) -> None:
    customer = await shop.customer()
    for url in UNREACHABLE:
        body = {**IMAGE, field: url if field == "webhook_url" else [{"url": url}]}
        quoted = await client.post("/v2/images/generations/quote", headers=customer.headers, json=body)
        made = await client.post("/v2/images/generations", headers=customer.headers, json=body)
        assert (quoted.status_code, quoted.json()) == (400, made.json()), url
        assert quoted.json()["error"]["param"].startswith(field), url


async def test_a_quote_keeps_to_the_workspace_s_own_retention(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer()
    await shop.query("update workspaces set retention_max_seconds = 7200 where id = %s", customer.id)
    for seconds, status in ((59, 400), (60, 200), (7200, 200), (7201, 400), (86_400, 400)):
        body = {**IMAGE, "retention_seconds": seconds}
        quoted = await client.post("/v2/images/generations/quote", headers=customer.headers, json=body)
        made = await client.post("/v2/images/generations", headers=customer.headers, json=body)
        assert (quoted.status_code, made.status_code) == (status, status), seconds
        assert status == 200 or quoted.json() == made.json()


CHOICES = [
    *(("images", {"aspect_ratio": a, "resolution": r}) for a, r in itertools.product(["1:1", "16:9"], ["1K", "2K"])),
    *(("videos", {"duration": d, "sound": s}) for d, s in itertools.product([5, 10], [True, False])),
    ("images", {}),
    ("videos", {}),
]


@pytest.mark.parametrize(("kind", "choice"), CHOICES)
async def test_what_is_quoted_is_charged(
    client: httpx.AsyncClient, shop: Shop, kind: str, choice: dict[str, Any]
) -> None:
    customer = await shop.customer()
    body = {**(IMAGE if kind == "images" else VIDEO), **choice}
    quote = exact(await client.post(f"/v2/{kind}/generations/quote", headers=customer.headers, json=body))
    assert quote["is_covered"] is True
    assert quote["usage"]["unit_price"] * quote["usage"]["quantity"] == quote["usage"]["total_cost"]
    untouched = await shop.account(customer)
    assert (format_usd(untouched.available_nanos), untouched.held_nanos) == ("100.00", 0)
    assert await shop.count(customer) == 0

    made = await client.post(f"/v2/{kind}/generations", headers=customer.headers, json=body)
    if kind == "videos":
        id_ = made.json()["id"]
        await ended(client, customer, id_)
        made = await client.get(f"/v2/videos/generations/{id_}", headers=customer.headers)
    assert exact(made)["usage"] == quote["usage"]
    account = await shop.settled(customer)
    assert Decimal(account.ledger_revenue_nanos) / 10**9 == quote["usage"]["total_cost"]
    for name, value in choice.items():
        assert quote[name] == value


async def test_a_quote_says_whether_the_balance_covers_it(client: httpx.AsyncClient, shop: Shop) -> None:
    for usd, is_covered in (("0.05", True), ("0.049999999", False)):
        customer = await shop.customer(usd)
        answer = await client.post("/v2/images/generations/quote", headers=customer.headers, json=IMAGE)
        assert answer.json()["is_covered"] is is_covered


async def test_a_quote_counts_against_no_limit_and_fetches_nothing(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer(image_rpm=1, concurrency=1)
    body = {**IMAGE, "images": [{"url": "https://nothing.invalid/a.png"}]}
    for _ in range(3):
        assert (
            await client.post("/v2/images/generations/quote", headers=customer.headers, json=body)
        ).status_code == 200
    assert (await client.post("/v2/images/generations", headers=customer.headers, json=IMAGE)).status_code == 200


async def test_a_shortened_video_costs_what_it_is(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer("1")
    body = {**VIDEO, "model": "clip-short", "sound": True}
    made = await client.post("/v2/videos/generations", headers=customer.headers, json=body)
    await ended(client, customer, made.json()["id"])
    video = exact(await client.get(f"/v2/videos/generations/{made.json()['id']}", headers=customer.headers))
    assert video["data"][0]["duration"] == 3
    assert video["usage"] == {
        "total_cost": Decimal("0.370368"),
        "billable_unit": "video_second",
        "unit_price": Decimal("0.123456"),
        "quantity": 3,
    }
    balance = await client.get("/v2/billing/balance", headers=customer.headers)
    assert balance.json()["balance"] == "0.629632"


# Costs


_SPENT = """
with generation as (
    insert into generations (id, workspace_id, type, model, body_sha256, billable_unit, unit_price_nanos, quantity,
        held_nanos, charged_nanos, charged_thousandths, state, deadline, retention_seconds, created_at, finished_at,
        error_code, deletes_at)
    values (%(id)s, %(workspace)s, 'image', 'still', '', 'image', %(nanos)s, 1, %(nanos)s, %(nanos)s, 1000,
        'completed', now(), 60, %(at)s, %(at)s, null, %(at)s)
), fund as (
    insert into transfers (workspace_id, kind, funding_nanos, available_nanos, reason, created_at)
    values (%(workspace)s, 'fund', -%(nanos)s::bigint, %(nanos)s, 'for the past', %(at)s)
), hold as (
    insert into transfers (workspace_id, kind, generation_id, available_nanos, held_nanos, created_at)
    values (%(workspace)s, 'hold', %(id)s, -%(nanos)s::bigint, %(nanos)s, %(at)s)
), settle as (
    insert into transfers (workspace_id, kind, generation_id, held_nanos, revenue_nanos, created_at)
    values (%(workspace)s, 'settle', %(id)s, -%(nanos)s::bigint, %(nanos)s, %(at)s)
)
insert into daily_usage (workspace_id, date, type, model, completed, charged_thousandths, cost_nanos)
values (%(workspace)s, %(at)s::date, 'image', 'still', 1, 1000, %(nanos)s)
"""


async def spent(shop: Shop, customer: Tenant, day: str, nanos: int) -> None:
    """An image that was paid for on that day, in all the books."""
    values = {"id": new_generation_id(), "workspace": customer.id, "nanos": nanos, "at": f"{day}T12:00:00Z"}
    async with shop.db.connection() as connection:
        await connection.execute(_SPENT, values)


@pytest.fixture
async def past(shop: Shop) -> Tenant:
    """A workspace that spent on four days of early 2026."""
    customer = await shop.customer("0")
    for day, nanos in (("2026-01-31", 1), ("2026-02-01", 200_000_000), ("2026-02-03", 35_000_001), ("2026-05-02", 5)):
        await spent(shop, customer, day, nanos)
    await shop.account(customer)
    return customer


async def costs(client: httpx.AsyncClient, customer: Tenant, start: str, end: str) -> Any:
    answer = await client.get(COSTS, headers=customer.headers, params={"start": start, "end": end})
    assert answer.status_code == 200, answer.text
    return exact(answer)


async def test_both_ends_are_included_and_days_without_costs_too(client: httpx.AsyncClient, past: Tenant) -> None:
    told = await costs(client, past, "2026-01-31T00:00:00Z", "2026-02-03T00:00:00Z")
    assert told == {
        "currency": "USD",
        "start": "2026-01-31T00:00:00.000Z",
        "end": "2026-02-03T00:00:00.000Z",
        "total_cost": Decimal("0.235000002"),
        "data": [
            {"date": "2026-01-31", "cost": Decimal("0.000000001")},
            {"date": "2026-02-01", "cost": Decimal("0.2")},
            {"date": "2026-02-02", "cost": 0},
            {"date": "2026-02-03", "cost": Decimal("0.035000001")},
        ],
    }


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2026-02-01T23:59:59.999Z", "2026-02-02T00:00:00Z", "2026-02-01", "2026-02-02"),
        ("2026-02-02T00:30:00+01:00", "2026-02-02T12:00:00+01:00", "2026-02-01", "2026-02-02"),
        ("2026-02-01T20:00:00-05:00", "2026-02-01T21:00:00-05:00", "2026-02-02", "2026-02-02"),
        ("2026-02-01T12:00:00Z", "2026-02-01T12:00:00.001Z", "2026-02-01", "2026-02-01"),
        ("2026-02-02T05:30:00 05:30", "2026-02-03T00:00:00 00:00", "2026-02-02", "2026-02-03"),
    ],
)
async def test_days_are_those_of_utc(
    client: httpx.AsyncClient, past: Tenant, start: str, end: str, first: str, last: str
) -> None:
    told = await costs(client, past, start, end)
    days = [bucket["date"] for bucket in told["data"]]
    assert (days[0], days[-1]) == (first, last)
    assert told["total_cost"] == sum(bucket["cost"] for bucket in told["data"])


async def test_at_most_180_days(client: httpx.AsyncClient, past: Tenant) -> None:
    told = await costs(client, past, "2026-01-31T00:00:00Z", "2026-07-30T00:00:00Z")
    assert len(told["data"]) == 181
    assert [date.fromisoformat(bucket["date"]) for bucket in told["data"]] == [
        date(2026, 1, 31) + timedelta(days=n) for n in range(181)
    ]
    assert told["total_cost"] == Decimal("0.235000007")
    params = {"start": "2026-01-31T00:00:00Z", "end": "2026-07-30T00:00:00.001Z"}
    answer = await client.get(COSTS, headers=past.headers, params=params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "end")


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({}, "parameter_missing", "start"),
        ({"start": "2026-01-01T00:00:00Z"}, "parameter_missing", "end"),
        ({"end": "2026-01-01T00:00:00Z"}, "parameter_missing", "start"),
        ({"start": "", "end": "2026-01-01T00:00:00Z"}, "parameter_missing", "start"),
        *(
            ({"start": start, "end": "2026-01-02T00:00:00Z"}, "invalid_parameter", "start")
            for start in ("yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "1767225600")
        ),
        *(
            ({"start": start, "end": "2026-01-02T00:00:00Z"}, "invalid_parameter", "start")
            for start in ("0001-01-01T00:00:00+14:00", "\u0662026-01-01T00:00:00Z", "2026-01-01T00:00:00+25:00", "\0")
        ),
        ({"start": "2026-01-01T00:00:00Z", "end": "9999-12-31T23:59:59-14:00"}, "invalid_parameter", "end"),
        ({"start": "2026-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}, "invalid_parameter", "end"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-02T00:00:00Z"}, "invalid_parameter", "end"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "invalid_parameter", "end"),
    ],
)
async def test_a_bad_range_is_refused(
    client: httpx.AsyncClient, shop: Shop, params: dict[str, str], code: str, param: str
) -> None:
    customer = await shop.customer()
    answer = await client.get(COSTS, headers=customer.headers, params=params)
    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == (code, param)


@pytest.mark.parametrize("usd", ["0", "12.34", "0.000000001", "9000000000"])
async def test_the_balance_is_exact(client: httpx.AsyncClient, shop: Shop, usd: str) -> None:
    customer = await shop.customer(usd)
    answer = await client.get("/v2/billing/balance", headers=customer.headers)
    assert set(answer.json()) == {"balance", "currency"}
    assert Decimal(answer.json()["balance"]) == Decimal(usd)


async def test_what_is_held_is_not_in_the_balance(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer("1")
    body = {**VIDEO, "model": "clip-slow"}
    made = await client.post("/v2/videos/generations", headers=customer.headers, json=body)
    answer = await client.get("/v2/billing/balance", headers=customer.headers)
    assert answer.json()["balance"] == "0.50"
    await ended(client, customer, made.json()["id"])
