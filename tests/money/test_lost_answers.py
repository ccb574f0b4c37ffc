"""An answer that is lost on its way, and the official client's own repeat: one generation, one charge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import getimg
import httpx
import pytest
import pytest_asyncio

from safelight.domain.money import format_usd
from tests.money.shop import Shop
from tests.support.cutting import Cutter

Clients = tuple[httpx.AsyncClient, httpx.AsyncClient]


@pytest_asyncio.fixture(params=[False, True], ids=["at its first byte", "after its last byte"])
async def cutter(request: pytest.FixtureRequest, client: httpx.AsyncClient) -> AsyncIterator[Cutter]:
    port = urlsplit(str(client.base_url)).port
    assert port is not None
    async with Cutter(port, waits_for_all=request.param).open() as opened:
        yield opened


async def test_an_image_whose_answer_was_cut_is_made_once(cutter: Cutter, shop: Shop) -> None:
    customer = await shop.customer("1")
    async with getimg.AsyncGetimgAI(api_key=customer.key, base_url=cutter.base_url) as api:
        image = await api.images.generate(model="still", prompt="a hill")
        assert cutter.cut == 1
        account = await shop.settled(customer)
        assert (await shop.count(customer), format_usd(account.available_nanos)) == (1, "0.95")
        another = await api.images.generate(model="still", prompt="a hill")
    assert another.id != image.id, "that one arrived"


async def test_a_video_whose_answer_was_cut_is_made_once(cutter: Cutter, shop: Shop) -> None:
    customer = await shop.customer("1")
    async with getimg.AsyncGetimgAI(api_key=customer.key, base_url=cutter.base_url) as api:
        await api.videos.generations.create(model="clip", prompt="a hill")
    assert cutter.cut == 1
    account = await shop.settled(customer)
    assert (await shop.count(customer), format_usd(account.available_nanos)) == (1, "0.50")


async def test_what_arrived_is_not_given_again(client: httpx.AsyncClient, shop: Shop) -> None:
    """A request that failed and is repeated is not answered with an image that its client has."""
    customer = await shop.customer("1")
    headers = {**customer.headers, "x-stainless-retry-count": "0"}
    body = {"model": "still", "prompt": "a hill"}
    first = await client.post("/v2/images/generations", headers=headers, json=body)
    headers["x-stainless-retry-count"] = "1"
    second = await client.post("/v2/images/generations", headers=headers, json=body)
    assert second.json()["id"] != first.json()["id"]
