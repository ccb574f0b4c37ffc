"""The official client as it is shipped: a time-out and its own automatic repeats make one generation, one charge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import getimg
import httpx
import pytest

from safelight.domain.money import format_usd
from tests.money.shop import Shop
from tests.support.tenants import Tenant

Clients = tuple[httpx.AsyncClient, httpx.AsyncClient]


class Watched(httpx.AsyncHTTPTransport):
    """Notes every request that is sent, and may lose the answer to the first."""

    def __init__(self, *, loses_first: bool = False) -> None:
        super().__init__()
        self.counts: list[str] = []
        self._loses_first = loses_first

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.counts.append(request.headers["x-stainless-retry-count"])
        answer = await super().handle_async_request(request)
        if self._loses_first and len(self.counts) == 1:
            await answer.aread()
            raise httpx.ReadError("the connection broke", request=request)
        return answer


@asynccontextmanager
async def official(
    base: httpx.AsyncClient, customer: Tenant, transport: Watched, **options: Any
) -> AsyncIterator[getimg.AsyncGetimgAI]:
    async with httpx.AsyncClient(transport=transport, base_url=base.base_url) as http:
        yield getimg.AsyncGetimgAI(
            api_key=customer.key,
            base_url=str(base.base_url),
            http_client=http,
            _strict_response_validation=True,
            **options,
        )


async def test_an_image_that_outlasts_the_clients_patience_is_made_once(client: httpx.AsyncClient, shop: Shop) -> None:
    customer, transport = await shop.customer("1"), Watched()
    async with official(client, customer, transport, timeout=1.0) as api:
        image = await api.images.generate(model="still-slow", prompt="a hill")
    assert len(transport.counts) > 1, "it timed out and repeated by itself"
    assert transport.counts == [str(n) for n in range(len(transport.counts))]
    assert image.usage.total_cost == 0.05
    account = await shop.settled(customer)
    assert (await shop.count(customer), format_usd(account.available_nanos)) == (1, "0.95")


async def test_a_video_whose_answer_was_lost_is_made_once(client: httpx.AsyncClient, shop: Shop) -> None:
    customer, transport = await shop.customer("1"), Watched(loses_first=True)
    async with official(client, customer, transport) as api:
        created = await api.videos.generations.create(model="clip", prompt="a hill")
        assert transport.counts == ["0", "1"]
        async with asyncio.timeout(90):
            while (video := await api.videos.generations.retrieve(created.id)).status == "pending":
                await asyncio.sleep(0.1)
    assert video.status == "completed"
    account = await shop.settled(customer)
    assert (await shop.count(customer), format_usd(account.available_nanos)) == (1, "0.50")


async def test_an_image_that_fails_for_good_is_charged_for_nothing(client: httpx.AsyncClient, shop: Shop) -> None:
    customer, transport = await shop.customer("1"), Watched()
    async with official(client, customer, transport, max_retries=1) as api:
        with pytest.raises(getimg.InternalServerError) as caught:
            await api.images.generate(model="still-broken", prompt="a hill")
    assert caught.value.status_code == 502
    assert transport.counts == ["0", "1"], "a failed attempt is not joined: the repeat is a new one"
    account = await shop.settled(customer)
    assert (account.available_nanos, account.ledger_revenue_nanos) == (10**9, 0)


async def test_what_only_money_can_help_is_not_repeated(client: httpx.AsyncClient, shop: Shop) -> None:
    customer, transport = await shop.customer("0"), Watched()
    async with official(client, customer, transport) as api:
        with pytest.raises(getimg.APIStatusError) as caught:
            await api.images.generate(model="still", prompt="a hill")
    assert caught.value.status_code == 402
    assert transport.counts == ["0"]


async def test_balance_and_costs_as_the_client_reads_them(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer("12.34")
    async with official(client, customer, Watched()) as api:
        assert (await api.billing.retrieve_balance()).model_dump() == {"balance": "12.34", "currency": "USD"}
        await api.images.generate(model="still", prompt="a hill", resolution="2K")
        now = datetime.now(UTC)
        costs = await api.billing.list_costs(start=now - timedelta(days=2), end=now + timedelta(days=1))
        assert (await api.billing.retrieve_balance()).balance == "12.26"
    assert costs.currency == "USD"
    assert costs.total_cost == 0.08
    assert len(costs.data) == 4
    assert all(isinstance(bucket.date, date) for bucket in costs.data)
    assert sum(Decimal(str(bucket.cost)) for bucket in costs.data) == Decimal("0.08")
