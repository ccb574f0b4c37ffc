"""An answer that is lost, and the official client's own repeats; a worker that dies: one video, one charge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
import pytest_asyncio
from openai.types import Video

from safelight.domain.money import format_usd
from safelight.providers.noop import png
from tests.money.shop import Shop
from tests.openai_dialect.videos.site import Site, ended
from tests.support.cutting import Cutter
from tests.support.tenants import Tenant

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API")


@pytest_asyncio.fixture(params=[False, True], ids=["at its first byte", "after its last byte"])
async def cutter(request: pytest.FixtureRequest, site: Site) -> AsyncIterator[Cutter]:
    async with Cutter(site.port, cuts=2, waits_for_all=request.param).open() as opened:
        yield opened


@pytest.fixture
async def customer(shop: Shop) -> Tenant:
    return await shop.customer("10")


async def check_made_once(shop: Shop, customer: Tenant, left: str, *, generations: int = 1) -> None:
    account = await shop.settled(customer)
    assert (await shop.count(customer), format_usd(account.available_nanos)) == (generations, left)


async def test_a_form_with_a_file(site: Site, shop: Shop, customer: Tenant, cutter: Cutter) -> None:
    async with site.async_client(customer, base_url=f"{cutter.base_url}/v1") as client:
        made = await client.videos.create(
            prompt="a hill", model="sora-2", seconds="4", input_reference=("start.png", png(), "image/png")
        )
        assert cutter.cut == 2, "the client repeated it twice, each time with another boundary"
        assert (await ended(client, made.id)).status == "completed"
        await check_made_once(shop, customer, "9.952")
        another = await client.videos.create(
            prompt="a hill", model="sora-2", seconds="4", input_reference=("start.png", png(), "image/png")
        )
    assert another.id != made.id, "that one was no repeat"


async def test_a_form_without_a_file_blocking(site: Site, shop: Shop, customer: Tenant, cutter: Cutter) -> None:
    def make() -> Video:
        with site.client(customer, base_url=f"{cutter.base_url}/v1") as client:
            return client.videos.create(prompt="a hill", model="sora-2", extra_body={"sound": True})

    made = await asyncio.to_thread(make)
    assert (cutter.cut, made.status in ("queued", "in_progress", "completed")) == (2, True)
    await check_made_once(shop, customer, "9.924")


async def test_json(site: Site, shop: Shop, customer: Tenant, cutter: Cutter) -> None:
    body = {"prompt": "a hill", "model": "sora-2", "seconds": 4}
    async with site.async_client(customer, base_url=f"{cutter.base_url}/v1") as client:
        await client.post("/videos", body=body, cast_to=Video)
    assert cutter.cut == 2
    await check_made_once(shop, customer, "9.952")


async def test_a_remix(site: Site, shop: Shop, customer: Tenant, cutter: Cutter) -> None:
    async with site.async_client(customer) as direct:
        first = await direct.videos.create(prompt="a hill", model="clip", input_reference=("a.png", png()))
        await ended(direct, first.id)
    async with site.async_client(customer, base_url=f"{cutter.base_url}/v1") as client:
        other = await client.videos.remix(first.id, prompt="a lake")
    assert cutter.cut == 2
    assert other.remixed_from_video_id == first.id
    await check_made_once(shop, customer, "9.904", generations=2)


async def test_remixes_of_two_videos_in_the_same_words_are_two(site: Site, shop: Shop, customer: Tenant) -> None:
    repeat = {"x-stainless-retry-count": "1"}
    async with site.async_client(customer) as client:
        firsts = [await client.videos.create(prompt=f"hill {n}", model="clip") for n in range(2)]
        for first in firsts:
            await ended(client, first.id)
        others = [(await client.videos.remix(each.id, prompt="a lake", extra_headers=repeat)).id for each in firsts]
        again = (await client.videos.remix(firsts[0].id, prompt="a lake", extra_headers=repeat)).id
    assert (len(set(others)), again) == (2, others[0])


async def test_an_idempotency_key(site: Site, shop: Shop, customer: Tenant) -> None:
    async with site.async_client(customer) as client:
        keyed = {"Idempotency-Key": "order 7"}
        made = await client.videos.create(prompt="a hill", model="clip", extra_headers=keyed)
        raw = await client.videos.with_raw_response.create(prompt="a hill", model="clip", extra_headers=keyed)
        assert raw.headers["idempotent-replayed"] == "true"
        assert raw.parse().id == made.id
        with pytest.raises(openai.ConflictError) as caught:
            await client.videos.create(prompt="a lake", model="clip", extra_headers=keyed)
        assert caught.value.response.request.headers["x-stainless-retry-count"] == "0", "it was not repeated"
    await check_made_once(shop, customer, "9.952")


async def test_one_whose_worker_is_killed_in_the_middle(site: Site, shop: Shop, customer: Tenant) -> None:
    async with site.async_client(customer) as client:
        made = await client.videos.create(prompt="a hill", model="clip-slow", input_reference=("a.png", png()))
        async with asyncio.timeout(60):
            while (await client.videos.retrieve(made.id)).status == "queued":
                await asyncio.sleep(0.02)
        site.worker.kill_everything()
        assert (await client.videos.retrieve(made.id)).status == "in_progress"
        site.new_worker()
        done = await ended(client, made.id)
        assert (done.status, done.error) == ("completed", None)
        assert (await client.videos.download_content(made.id)).content
    await check_made_once(shop, customer, "9.952")


async def test_one_that_nobody_can_stop_yet_is_not_called_deleted(site: Site, shop: Shop, customer: Tenant) -> None:
    async with site.async_client(customer) as client:
        made = await client.videos.create(prompt="a hill", model="clip-endless")
        async with asyncio.timeout(60):
            while (await client.videos.retrieve(made.id)).status == "queued":
                await asyncio.sleep(0.02)
        site.worker.kill_everything()
        raw = await client.videos.with_raw_response.delete(made.id)
        assert (raw.status_code, raw.parse().deleted) == (202, False)
        assert (await shop.account(customer)).held_nanos == 48_000_000
        site.new_worker()
        found = await ended(client, made.id)
        assert found.error is not None
        assert found.error.code == "canceled"
        assert (await client.videos.delete(made.id)).deleted
    await check_made_once(shop, customer, "10.00")
