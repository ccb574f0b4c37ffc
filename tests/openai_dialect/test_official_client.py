"""The official client as it is shipped, sync and async: pictures, edits, streams, models, and its exceptions."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from safelight.domain.money import format_usd
from tests.money.shop import Shop
from tests.support.server import Server
from tests.support.tenants import Tenant

PROMPT = "a red boat"
ON_RECORD = "select {} from generations where workspace_id = %s order by id"
REFERENCES = ON_RECORD.format("jsonb_array_length(request->'references')")


def picture(format_: str = "PNG", side: int = 40) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (side, side), (200, 40, 40)).save(target, format_)
    return target.getvalue()


def opened(b64_json: str | None) -> Image.Image:
    assert b64_json is not None
    image = Image.open(io.BytesIO(base64.b64decode(b64_json, validate=True)))
    image.load()
    return image


async def charged(shop: Shop, customer: Tenant) -> str:
    """What is gone of the ten dollars, once nothing is under way."""
    account = await shop.settled(customer)
    return format_usd(10_000_000_000 - account.available_nanos)


async def test_one_picture_and_what_the_client_reads(
    api: openai.AsyncOpenAI, http: httpx.AsyncClient, shop: Shop, customer: Tenant
) -> None:
    answer = await api.images.generate(model="still", prompt=PROMPT, user="ann", size="1536x1024", quality="auto")
    [made] = answer.data or []
    assert made.url is None
    assert opened(made.b64_json).format == "PNG"
    assert (answer.output_format, answer.size, answer.quality, answer.background) == ("png", "64x64", None, None)
    assert answer.safety_identifier == "ann"
    assert answer.usage is not None
    assert (answer.usage.total_tokens, answer.usage.input_tokens_details.image_tokens) == (0, 0)
    told = answer.usage.model_extra or {}
    assert (told["total_cost"], told["unit_price"], told["quantity"], told["billable_unit"]) == (0.05, 0.05, 1, "image")
    assert await charged(shop, customer) == "0.05"
    known = await http.get(f"/v2/images/generations/{(made.model_extra or {})['id']}")
    assert known.json()["status"] == "completed"
    file = await http.get(known.json()["data"][0]["url"])
    assert file.content == base64.b64decode(made.b64_json or ""), "signed, as it is downloaded"
    [row] = await shop.query(ON_RECORD.format("end_user, request->>'aspect_ratio'"), customer.id)
    assert row[0] not in (None, "ann")
    assert row[1] == "3:2"


def test_the_sync_client(server: Server, customer: Tenant) -> None:
    with openai.OpenAI(base_url=f"{server.base_url}/v1", api_key=customer.key) as api:
        answer = api.images.generate(prompt=PROMPT, output_format="jpeg", output_compression=70, style="vivid")
        assert opened((answer.data or [])[0].b64_json).format == "JPEG"
        edited = api.images.edit(image=io.BytesIO(picture()), prompt=PROMPT, output_format="webp")
        assert opened((edited.data or [])[0].b64_json).format == "WEBP"
        events = list(api.images.generate(prompt=PROMPT, stream=True))
        assert [event.type for event in events] == ["image_generation.completed"]
        assert {"still", "gpt-image-1", "clip", "sora-2"} <= {model.id for model in api.models.list()}


async def test_four_pictures_are_four_generations_and_four_charges(
    api: openai.AsyncOpenAI, shop: Shop, customer: Tenant
) -> None:
    answer = await api.images.generate(model="gpt-image-1", prompt=PROMPT, n=4)
    assert len({(each.model_extra or {})["id"] for each in answer.data or []}) == 4
    assert all(opened(each.b64_json).format == "PNG" for each in answer.data or [])
    assert answer.usage is not None
    told = answer.usage.model_extra or {}
    assert (told["total_cost"], told["quantity"]) == (0.2, 4)
    assert (await charged(shop, customer), await shop.count(customer)) == ("0.20", 4)


async def test_a_link_instead(api: openai.AsyncOpenAI, http: httpx.AsyncClient) -> None:
    answer = await api.images.generate(model="still", prompt=PROMPT, response_format="url", n=2)
    for each in answer.data or []:
        assert each.b64_json is None
        file = await http.get(each.url or "")
        assert (file.status_code, file.headers["content-type"]) == (200, "image/png")


@pytest.mark.parametrize("quality", ["high", "hd", "low", "auto"])
async def test_a_quality_is_a_resolution_where_the_catalog_says_so(
    quality: Any, api: openai.AsyncOpenAI, shop: Shop, customer: Tenant
) -> None:
    answer = await api.images.generate(model="still", prompt=PROMPT, quality=quality, size="1024x1536")
    is_known = quality in ("high", "hd")
    assert (answer.model_extra or {}).get("quality", answer.quality) == (quality if is_known else None)
    assert await charged(shop, customer) == ("0.081234" if is_known else "0.05")
    [row] = await shop.query(ON_RECORD.format("request"), customer.id)
    assert (row[0]["resolution"], row[0]["aspect_ratio"]) == ("2K" if is_known else "1K", "2:3")


async def test_edits_with_one_file_and_with_two(
    api: openai.AsyncOpenAI, shop: Shop, customer: Tenant, tmp_path: Path
) -> None:
    path = tmp_path / "boat.jpg"
    path.write_bytes(picture("JPEG"))
    one = await api.images.edit(model="still", image=path, prompt=PROMPT, n=2)
    assert [opened(each.b64_json).format for each in one.data or []] == ["PNG", "PNG"]
    files: list[Any] = [path.open("rb"), io.BytesIO(picture("WEBP"))]
    two = await api.images.edit(
        model="still", image=files, prompt=PROMPT, response_format="url", background="opaque", input_fidelity="high"
    )
    files[0].close()
    assert (two.data or [])[0].url
    assert two.background == "opaque"
    rows = await shop.query(
        "select jsonb_array_length(request->'references') from generations where workspace_id = %s order by id",
        customer.id,
    )
    assert [row[0] for row in rows] == [1, 1, 2]
    assert await charged(shop, customer) == "0.15"


async def test_an_edit_in_a_form_with_what_is_ours(api: openai.AsyncOpenAI, shop: Shop, customer: Tenant) -> None:
    ours = {"aspect_ratio": "16:9", "resolution": "2K", "seed": 7, "store": False, "retention_seconds": 120}
    options = {"provider_options": {"steps": 3, "style_of": "hopper"}}
    answer = await api.images.edit(model="still", image=picture(), prompt=PROMPT, extra_body={**ours, **options})
    assert ((answer.data or [])[0].model_extra or {})["seed"] == 7
    [row] = await shop.query(ON_RECORD.format("request, is_stored, retention_seconds"), customer.id)
    assert (row[0]["aspect_ratio"], row[0]["resolution"], row[1], row[2]) == ("16:9", "2K", False, 120)
    assert row[0]["provider_options"] == {"steps": 3, "style_of": "hopper"}


async def test_an_edit_in_json_with_addresses(http: httpx.AsyncClient, shop: Shop, customer: Tenant) -> None:
    url = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    for named in (
        {"image": url},
        {"image": [url, url]},
        {"images": [{"image_url": url}, url]},
        {"image": {"image_url": url}},
    ):
        answer = await http.post("/v1/images/edits", json={"model": "still", "prompt": PROMPT, **named})
        assert answer.status_code == 200, answer.text
    rows = await shop.query(
        "select jsonb_array_length(request->'references') from generations where workspace_id = %s order by id",
        customer.id,
    )
    assert [row[0] for row in rows] == [1, 2, 2, 1]


async def test_a_stream(api: openai.AsyncOpenAI, shop: Shop, customer: Tenant) -> None:
    stream = await api.images.generate(
        model="still-slow", prompt=PROMPT, stream=True, partial_images=3, n=2, safety_identifier="ann", user="bob"
    )
    events: list[Any] = [event async for event in stream]
    assert [event.type for event in events] == ["image_generation.completed"] * 2
    assert opened(events[0].b64_json).format == "PNG"
    assert (events[0].size, events[0].quality, events[0].background) == ("64x64", "auto", "auto")
    assert (events[0].usage.total_tokens, events[0].usage.total_cost) == (0, 0.05)
    assert events[0].safety_identifier == "ann"
    edits = await api.images.edit(model="still", image=picture(), prompt=PROMPT, stream=True)
    assert [event.type async for event in edits] == ["image_edit.completed"]
    assert await charged(shop, customer) == "0.15"


async def test_an_error_after_the_stream_began_is_raised(api: openai.AsyncOpenAI, shop: Shop, customer: Tenant) -> None:
    stream = await api.images.generate(model="still-refused", prompt=PROMPT, stream=True)
    with pytest.raises(openai.APIError) as raised:
        _ = [event async for event in stream]
    assert raised.value.code == "content_policy_violation"
    assert await charged(shop, customer) == "0.00"


async def test_whoever_leaves_a_stream_finds_its_pictures_by_a_repeat(
    http: httpx.AsyncClient, shop: Shop, customer: Tenant
) -> None:
    body = {"model": "still-slow", "prompt": PROMPT, "stream": True, "n": 2}
    with pytest.raises(httpx.ReadTimeout):
        await http.post("/v1/images/generations", json=body, timeout=0.3)
    account = await shop.settled(customer)
    assert account.available_nanos == 9_900_000_000
    again = await http.post("/v1/images/generations", json=body, headers={"x-stainless-retry-count": "1"})
    assert again.text.count("event: image_generation.completed") == 2
    assert again.headers["idempotent-replayed"] == "true"
    assert await shop.count(customer) == 2


async def test_those_that_were_made_are_answered_and_charged(
    api: openai.AsyncOpenAI, shop: Shop, customer: Tenant
) -> None:
    for _ in range(5):
        answer = await api.images.generate(model="still-moody", prompt=PROMPT, n=10)
        failed = (answer.model_extra or {}).get("failed", [])
        if failed:
            break
    assert len(answer.data or []) + len(failed) == 10
    assert {each["code"] for each in failed} == {"content_policy_violation"}
    assert answer.usage is not None
    assert (answer.usage.model_extra or {})["quantity"] == len(answer.data or [])
    [paid] = await shop.query(
        "select count(*) from generations where workspace_id = %s and state = 'completed'", customer.id
    )
    assert Decimal(await charged(shop, customer)) == paid[0] * Decimal("0.05")


async def test_no_file_of_what_was_refused_by_all(api: openai.AsyncOpenAI, shop: Shop, customer: Tenant) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await api.images.generate(model="still-refused", prompt=PROMPT, n=3)
    assert (raised.value.code, raised.value.type) == ("content_policy_violation", "invalid_request_error")
    assert await charged(shop, customer) == "0.00"


async def test_moderation_is_a_bad_request(api: openai.AsyncOpenAI, shop: Shop, customer: Tenant) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await api.images.generate(model="still", prompt="something forbidden")
    assert (raised.value.code, raised.value.param) == ("content_policy_violation", "prompt")
    assert await shop.count(customer) == 0


async def test_errors_as_the_client_has_classes_for_them(server: Server, shop: Shop, api: openai.AsyncOpenAI) -> None:
    tried: list[httpx.Request] = []

    async def note(request: Any) -> None:
        tried.append(request)

    poor = await shop.customer("0.06")
    url = f"{server.base_url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=poor.key) as client:
        client._client.event_hooks["request"].append(note)
        with pytest.raises(openai.RateLimitError) as raised:
            await client.images.generate(model="still", prompt=PROMPT, n=2)
        assert (raised.value.code, raised.value.type) == ("insufficient_quota", "insufficient_quota")
        assert len(tried) == 1, "not worth a repeat"
        assert await shop.count(poor) == 0, "all or none"
    with pytest.raises(openai.NotFoundError):
        await api.images.create_variation(image=picture())
    with pytest.raises(openai.NotFoundError) as absent:
        await api.models.retrieve("nothing")
    assert absent.value.param == "model"
    with pytest.raises(openai.BadRequestError) as wrong:
        await api.images.generate(model="clip", prompt=PROMPT)
    assert wrong.value.param == "model"
    async with openai.AsyncOpenAI(base_url=url, api_key="sk_wrong") as client:
        with pytest.raises(openai.AuthenticationError) as unknown:
            await client.images.generate(model="still", prompt=PROMPT)
        assert unknown.value.code == "invalid_api_key"
    async with api.with_options(max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as failed:
            await client.images.generate(model="still-broken", prompt=PROMPT)
        assert (failed.value.code, failed.value.type) == ("generation_failed", "server_error")


async def test_more_at_once_than_a_workspace_may_have_is_said(server: Server, shop: Shop) -> None:
    small = await shop.customer("10", concurrency=3)
    async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key=small.key) as client:
        with pytest.raises(openai.BadRequestError) as raised:
            await client.images.generate(model="still", prompt=PROMPT, n=4)
        assert raised.value.param == "n"
        assert len((await client.images.generate(model="still", prompt=PROMPT, n=3)).data or []) == 3


async def test_models_have_every_name(api: openai.AsyncOpenAI) -> None:
    listed: AsyncIterator[Any] = api.models.list().__aiter__()
    models = {model.id: model async for model in listed}
    assert models["sora-2"].model_extra == {"type": "video", "alias_of": "clip"}
    for name in ("still", "gpt-image-1.5", "a-house/its-model:v1"):
        found = await api.models.retrieve(name)
        assert (found.id, found.object, found.created, found.owned_by) == (name, "model", 1767323045, "safelight")


async def test_a_slash_in_a_name_may_be_one(http: httpx.AsyncClient) -> None:
    for spelling in ("a-house/its-model:v1", "a-house%2Fits-model:v1"):
        assert (await http.get(f"/v1/models/{spelling}")).json()["id"] == "a-house/its-model:v1"


async def test_a_key_stands_for_all_of_a_request(http: httpx.AsyncClient, shop: Shop, customer: Tenant) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"model": "still", "prompt": PROMPT, "n": 3}
    answers = await asyncio.gather(*(http.post("/v1/images/generations", json=body, headers=key) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    ids = {tuple(each["id"] for each in answer.json()["data"]) for answer in answers}
    assert len(ids) == 1
    other = await http.post("/v1/images/generations", json={**body, "n": 2}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert (await charged(shop, customer), await shop.count(customer)) == ("0.15", 3)


async def test_a_key_stands_for_a_form_whatever_its_boundary(
    http: httpx.AsyncClient, shop: Shop, customer: Tenant
) -> None:
    key, form = {"Idempotency-Key": "a form"}, {"model": "still", "prompt": PROMPT, "n": "2"}
    answers = [
        await http.post("/v1/images/edits", data=form, files={"image": ("a.png", picture())}, headers=key)
        for _ in range(2)
    ]
    assert answers[0].request.headers["content-type"] != answers[1].request.headers["content-type"]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"
    other = await http.post("/v1/images/edits", data=form, files={"image": ("a.png", picture(side=41))}, headers=key)
    assert other.status_code == 409
    assert (await charged(shop, customer), await shop.count(customer)) == ("0.10", 2)
