"""Videos through OpenAI's own client, as it is shipped: all that it has for them, blocking and not."""

from __future__ import annotations

import asyncio
import io

import openai
import pytest
from PIL import Image

from safelight.media.sniff import sniff
from safelight.providers.noop import png
from tests.money.shop import Shop
from tests.openai_dialect.videos.site import Site, ended

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API")


async def test_a_video_from_its_making_to_its_deletion(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")

    def use() -> None:
        with site.client(customer) as client:
            made = client.videos.create(prompt="a hill", model="sora-2")
            assert (made.object, made.model, made.seconds, made.size) == ("video", "clip", "4", "1280x720")
            assert made.status in ("queued", "in_progress")
            assert (made.error, made.completed_at, made.prompt, made.remixed_from_video_id) == (
                None,
                None,
                "a hill",
                None,
            )
            done = client.videos.poll(made.id, poll_interval_ms=50)
            assert (done.id, done.status, done.progress, done.error) == (made.id, "completed", 100, None)
            assert done.size == "64x64", "as measured"
            assert done.completed_at is not None
            assert done.expires_at is not None
            assert made.created_at <= done.completed_at < done.expires_at
            film = client.videos.download_content(made.id)
            assert film.response.headers["content-type"] == "video/mp4"
            assert sniff(film.content) == "video/mp4"
            poster = client.videos.download_content(made.id, variant="thumbnail")
            assert poster.response.headers["content-type"] == "image/webp"
            assert Image.open(io.BytesIO(poster.content)).format == "WEBP"
            deleted = client.videos.delete(made.id)
            assert deleted.model_dump() == {"id": made.id, "object": "video.deleted", "deleted": True}
            assert client.videos.delete(made.id).deleted, "a repeat is harmless"
            with pytest.raises(openai.APIStatusError) as gone:
                client.videos.download_content(made.id)
            assert (gone.value.status_code, gone.value.code) == (410, "download_expired")
            left = client.videos.retrieve(made.id)
            assert (left.status, left.prompt, left.size) == ("completed", None, "64x64")

    await asyncio.to_thread(use)
    assert (await shop.settled(customer)).ledger_revenue_nanos == 48_000_000, "4 s; deleting gives nothing back"


async def test_create_and_poll_with_a_file(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        done = await client.videos.create_and_poll(
            prompt="a hill",
            model="sora-2",
            seconds="8",
            size="1024x1792",  # what OpenAI's clients have, and no catalog
            input_reference=("start.png", png(), "image/png"),
            poll_interval_ms=50,
        )
        assert (done.status, done.seconds) == ("completed", "8")
        film = await client.videos.download_content(done.id)
        assert sniff(film.content) == "video/mp4"
    ((spec, price),) = await shop.query(
        "select request, unit_price_nanos from generations where workspace_id = %s", customer.id
    )
    assert [each["role"] for each in spec["references"]] == ["first_frame"]
    assert (spec["aspect_ratio"], spec["resolution"], spec["duration_seconds"]) == ("9:16", "1080p", 8)
    assert price == 40_000_000


async def test_what_is_ours_comes_as_extra_body(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    ours = {
        "aspect_ratio": "1:1",
        "resolution": "480p",
        "sound": True,
        "seed": 7,
        "negative_prompt": "fog",
        "retention_seconds": 120,
        "provider_options": {"steps": 8, "style": "ink"},
        "user": "ann",
    }
    async with site.async_client(customer) as client:
        made = await client.videos.create(prompt="a hill", model="clip", extra_body=ours)
        done = await ended(client, made.id)
    assert done.status == "completed"
    assert done.usage == {"total_cost": 0.132, "billable_unit": "video_second", "unit_price": 0.033, "quantity": 4}
    assert done.expires_at - done.completed_at in (119, 120, 121)
    ((spec, end_user),) = await shop.query("select request, end_user from generations where id = %s", made.id)
    names = ("aspect_ratio", "resolution", "sound", "seed", "negative_prompt", "provider_options")
    assert {name: spec[name] for name in names} == {name: ours[name] for name in names}
    assert end_user is not None
    assert "ann" not in end_user


async def test_all_videos_page_by_page_both_ways(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        ids = [(await client.videos.create(prompt=f"hill {n}", model="clip")).id for n in range(5)]
        for order, wanted in (("asc", ids), ("desc", ids[::-1])):
            page = await client.videos.list(limit=2, order=order)  # type: ignore[arg-type]
            assert [each.id for each in page.data] == wanted[:2]
            assert (page.has_more, page.last_id) == (True, wanted[1])
            assert page.first_id == wanted[0]  # type: ignore[attr-defined]
            assert [each.id async for each in page] == wanted
        assert [each.prompt async for each in client.videos.list(limit=1, order="asc")] == [
            f"hill {n}" for n in range(5)
        ]
        last = await client.videos.list(after=ids[0])
        assert (last.data, last.has_more, last.last_id) == ([], False, None)

    def blocking() -> list[str]:
        with site.client(customer) as client:
            return [each.id for each in client.videos.list(limit=2)]

    assert await asyncio.to_thread(blocking) == ids[::-1]


async def test_a_page_stays_as_it_is_while_videos_come_and_go(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        ids = [(await client.videos.create(prompt="a hill", model="clip")).id for _ in range(3)]
        first = await client.videos.list(limit=2)
        await ended(client, ids[0])
        newer = (await client.videos.create(prompt="a hill", model="clip")).id
        rest = await client.videos.list(limit=2, after=first.last_id or "")
        assert [each.id for each in (*first.data, *rest.data)] == ids[::-1]
        assert [each.id async for each in client.videos.list(order="asc", after=ids[2])] == [newer]


async def test_one_that_is_being_made_is_canceled_by_deleting_it(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        made = await client.videos.create(prompt="a hill", model="clip-endless")
        async with asyncio.timeout(60):
            while (await client.videos.retrieve(made.id)).status == "queued":
                await asyncio.sleep(0.05)
        assert (await client.videos.delete(made.id)).deleted
        found = await client.videos.retrieve(made.id)
        assert (found.status, found.error and found.error.code) == ("failed", "canceled")
        with pytest.raises(openai.BadRequestError, match="canceled"):
            await client.videos.download_content(made.id)
    account = await shop.settled(customer)
    assert (account.available_nanos, account.held_nanos) == (10 * 10**9, 0)


async def test_another_take(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        first = await client.videos.create(
            prompt="a hill",
            model="clip",
            seconds="12",
            input_reference=("start.png", png(), "image/png"),
            extra_body={"sound": True, "seed": 3, "retention_seconds": 300},
        )
        endless = await client.videos.create(prompt="a hill", model="clip-endless")
        with pytest.raises(openai.BadRequestError, match="not completed"):
            await client.videos.remix(endless.id, prompt="a lake")
        await client.videos.delete(endless.id)
        await ended(client, first.id)
        other = await client.videos.remix(first.id, prompt="a lake")
        assert (other.remixed_from_video_id, other.prompt, other.seconds) == (first.id, "a lake", "12")
        assert (await ended(client, other.id)).status == "completed"
        again = await client.videos.remix(other.id, prompt="a sea")
        assert again.remixed_from_video_id == other.id
    specs = dict(await shop.query("select id, request from generations where workspace_id = %s", customer.id))
    for key in ("prompt", "references"):
        assert specs[first.id].pop(key) != specs[other.id].pop(key)
    assert specs[first.id] == specs[other.id]
    ((retention,),) = await shop.query("select retention_seconds from generations where id = %s", other.id)
    assert retention == 300


async def test_a_remix_in_a_form(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        first = await client.videos.create(prompt="a hill", model="clip")
        await ended(client, first.id)
        answer = await client._client.post(
            f"{site.base_url}/videos/{first.id}/remix", headers=customer.headers, files={"prompt": (None, "a lake")}
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["remixed_from_video_id"] == first.id


async def test_no_other_take_once_the_prompt_or_a_picture_is_gone(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        first = await client.videos.create(prompt="a hill", model="clip")
        await ended(client, first.id)
        await client.videos.delete(first.id)
        with pytest.raises(openai.NotFoundError, match="gone with the media"):
            await client.videos.remix(first.id, prompt="a lake")
        second = await client.videos.create(prompt="a hill", model="clip", input_reference=("a.png", png()))
        await ended(client, second.id)
        ((key,),) = await shop.query(
            "select request->'references'->0->>'key' from generations where id = %s", second.id
        )
        kept = next(site.api.data_dir.rglob(key.rpartition("/")[2]))
        kept.unlink()
        with pytest.raises(openai.NotFoundError, match="no longer kept"):
            await client.videos.remix(second.id, prompt="a lake")
    assert await shop.count(customer) == 2


async def test_what_is_not_made_says_what_is(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        with pytest.raises(openai.BadRequestError, match="remix"):
            await client.videos.edit(prompt="bluer", video=("a.mp4", b"\0"))
        with pytest.raises(openai.BadRequestError, match="input_reference"):
            await client.videos.extend(prompt="on", seconds="4", video=("a.mp4", b"\0"))
        with pytest.raises(openai.BadRequestError, match="input_reference"):
            await client.videos.create_character(name="ann", video=("a.mp4", b"\0"))
        with pytest.raises(openai.BadRequestError, match="input_reference"):
            await client.videos.get_character("char_1")
        for body in ({"prompt": "bluer", "video": {"id": "req-1"}}, {}):
            for path in ("/videos/edits", "/videos/extensions", "/videos/characters"):
                with pytest.raises(openai.BadRequestError):
                    await client.post(path, body=body, cast_to=object)
    assert await shop.count(customer) == 0


async def test_one_that_fails_says_why_and_costs_nothing(site: Site, shop: Shop) -> None:
    customer = await shop.customer("10")
    async with site.async_client(customer) as client:
        for model, code in (("clip-broken", "generation_failed"), ("clip-refused", "content_policy_violation")):
            made = await client.videos.create(prompt="a hill", model=model)
            found = await ended(client, made.id)
            assert found.status == "failed"
            assert found.error is not None
            assert found.error.code == code
            assert found.error.message
            assert (found.completed_at, found.expires_at) == (None, None)
            with pytest.raises(openai.BadRequestError, match="has no content"):
                await client.videos.download_content(made.id)
            assert (await client.videos.delete(made.id)).deleted
            with pytest.raises(openai.BadRequestError, match="not completed"):
                await client.videos.remix(made.id, prompt="a lake")
    assert (await shop.settled(customer)).available_nanos == 10 * 10**9


async def test_no_funds_and_no_repeat(site: Site, shop: Shop) -> None:
    customer = await shop.customer("0.01")
    async with site.async_client(customer) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.videos.create(prompt="a hill", model="sora-2")
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.response.request.headers["x-stainless-retry-count"] == "0"
