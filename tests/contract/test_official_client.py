"""Every call of the official client ``getimg``, over each of its transports, against a running server."""

from __future__ import annotations

import asyncio
import base64
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from getimg import AsyncGetimgAI, DefaultAioHttpClient, GetimgAI
from getimg.types import (
    BillingListCostsResponse,
    BillingRetrieveBalanceResponse,
    ImageGenerateResponse,
    ModelListResponse,
    ModelRetrieveResponse,
)
from getimg.types.videos import GenerationCreateResponse, GenerationRetrieveResponse

from safelight.providers.noop import png
from tests.contract.accounts import Account
from tests.contract.strict import strictly
from tests.support.server import PATIENCE_SECONDS

PICTURE = f"data:image/png;base64,{base64.b64encode(png()).decode()}"


class Caller:
    """One client; ``caller(call)`` is the answer of a call, whether or not it must be awaited."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def __call__(self, call: Callable[[Any], Any]) -> Any:
        return await _settled(call(self.client))

    async def strict(self, resource: Callable[[Any], Any], method: str, kind: Any, **arguments: Any) -> Any:
        """The answer to one method, called plainly and raw; the raw bytes are held against ``kind`` strictly."""
        plain = await _settled(getattr(resource(self.client), method)(**arguments))
        raw = await _settled(getattr(resource(self.client).with_raw_response, method)(**arguments))
        assert type(await _settled(raw.parse())) is type(plain)
        strictly(kind, raw.http_response.content)
        return plain


async def _settled(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


def _sync() -> Any:
    return GetimgAI()


def _httpx() -> Any:
    return AsyncGetimgAI()


def _aiohttp() -> Any:
    return AsyncGetimgAI(http_client=DefaultAioHttpClient())


@pytest.fixture(params=[_sync, _httpx, _aiohttp], ids=["sync", "httpx", "aiohttp"])
async def caller(
    request: pytest.FixtureRequest, account: Account, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Caller]:
    """A client configured by the environment alone, as its documentation has it."""
    monkeypatch.setenv("GETIMG_AI_BASE_URL", account.base_url)
    monkeypatch.setenv("GETIMG_API_KEY", account.key)
    client = request.param()
    yield Caller(client)
    await _settled(client.close())


async def _poll(ask: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (found := await ask()).status == "pending":
            await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"aspect_ratio": "16:9", "resolution": "2K", "output_format": "png", "images": [{"url": PICTURE}] * 2},
        {"output_format": "webp", "images": []},
        {"extra_body": {"images": [{"url": PICTURE, "role": "reference_image"}]}},
    ],
    ids=["defaults", "everything", "webp", "role"],
)
async def test_images_generate(caller: Caller, options: dict[str, Any]) -> None:
    made = await caller.strict(
        lambda client: client.images,
        "generate",
        ImageGenerateResponse,
        model="noop-image",
        prompt="A mountain at dawn",
        **options,
    )
    assert (made.status, made.model) == ("completed", "noop-image")
    assert made.data[0].mime_type == f"image/{options.get('output_format', 'jpeg')}"
    assert made.data[0].deletes_at > datetime.now(UTC)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "aspect_ratio": "1:1",
            "resolution": "720p",
            "duration": 5,
            "sound": True,
            "images": [
                {"url": PICTURE, "role": "first_frame"},
                {"url": PICTURE, "role": "last_frame"},
                {"url": PICTURE, "role": "reference_image"},
            ],
        },
    ],
    ids=["defaults", "everything"],
)
async def test_videos_are_created_and_polled(caller: Caller, options: dict[str, Any]) -> None:
    accepted = await caller.strict(
        lambda client: client.videos.generations,
        "create",
        GenerationCreateResponse,
        model="noop-video",
        prompt="Clouds over a peak",
        **options,
    )
    made = await _poll(lambda: caller(lambda client: client.videos.generations.retrieve(accepted.id)))
    assert made.status == "completed"
    assert made.data[0].duration == options.get("duration", 4)
    again = await caller.strict(
        lambda client: client.videos.generations, "retrieve", GenerationRetrieveResponse, id=accepted.id
    )
    assert again == made


async def test_a_failed_video_is_told(caller: Caller) -> None:
    accepted = await caller(
        lambda client: client.videos.generations.create(model="failing-video", prompt="Clouds over a peak")
    )
    await _poll(lambda: caller(lambda client: client.videos.generations.retrieve(accepted.id)))
    made = await caller.strict(
        lambda client: client.videos.generations, "retrieve", GenerationRetrieveResponse, id=accepted.id
    )
    assert (made.status, made.error.code) == ("failed", "generation_failed")


@pytest.mark.parametrize("kind", [None, "image", "video"])
async def test_models_list(caller: Caller, kind: str | None) -> None:
    filters = {"type": kind} if kind else {}
    found = await caller.strict(lambda client: client.models, "list", ModelListResponse, **filters)
    assert {model.type for model in found} == ({kind} if kind else {"image", "video"})


async def test_models_retrieve(caller: Caller) -> None:
    listed = await caller(lambda client: client.models.list())
    for model in listed:
        found = await caller.strict(lambda client: client.models, "retrieve", ModelRetrieveResponse, model=model.id)
        assert found.to_dict() == model.to_dict()


async def test_billing(caller: Caller) -> None:
    before = await caller.strict(lambda client: client.billing, "retrieve_balance", BillingRetrieveBalanceResponse)
    await caller(lambda client: client.images.generate(model="noop-image", prompt="A mountain at dawn"))
    after = await caller(lambda client: client.billing.retrieve_balance())
    assert float(before.balance) - float(after.balance) == pytest.approx(0.013)
    now = datetime.now(UTC)
    costs = await caller.strict(
        lambda client: client.billing,
        "list_costs",
        BillingListCostsResponse,
        start=now - timedelta(days=2),
        end=now + timedelta(minutes=5),
    )
    assert costs.total_cost >= 0.013
    assert costs.data[0].date == (now - timedelta(days=2)).date()
