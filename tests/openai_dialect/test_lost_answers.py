"""An answer that is lost on its way, and the official client's own repeat: one charge and one file for each picture.

A form has another boundary at each repeat, and is the same request all the same.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from safelight.domain.money import format_usd
from tests.money.shop import Shop
from tests.openai_dialect.test_official_client import PROMPT, opened, picture
from tests.support.cutting import Cutter
from tests.support.server import Server, eventually
from tests.support.tenants import Tenant

Ask = Callable[[openai.AsyncOpenAI], Awaitable[Any]]


@pytest_asyncio.fixture(params=[False, True], ids=["at its first byte", "after its last byte"])
async def cutter(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Cutter]:
    async with Cutter(server.port, waits_for_all=request.param).open() as opened_:
        yield opened_


@pytest_asyncio.fixture
async def bodies() -> list[bytes]:
    return []


@pytest_asyncio.fixture
async def cut_api(cutter: Cutter, customer: Tenant, bodies: list[bytes]) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client behind a network that loses the first answer; ``bodies`` is what it sent."""

    async def note(request: Any) -> None:
        bodies.append(await request.aread())

    async with openai.AsyncOpenAI(base_url=f"{cutter.base_url}/v1", api_key=customer.key) as client:
        client._client.event_hooks["request"].append(note)
        yield client


async def generated(api: openai.AsyncOpenAI) -> list[str | None]:
    answer = await api.images.generate(model="still", prompt=PROMPT)
    return [each.b64_json for each in answer.data or []]


async def four(api: openai.AsyncOpenAI) -> list[str | None]:
    answer = await api.images.generate(model="still", prompt=PROMPT, n=4)
    return [each.b64_json for each in answer.data or []]


async def streamed(api: openai.AsyncOpenAI) -> list[str | None]:
    stream = await api.images.generate(model="still", prompt=PROMPT, n=2, stream=True)
    return [event.b64_json async for event in stream]


async def edited(api: openai.AsyncOpenAI) -> list[str | None]:
    answer = await api.images.edit(model="still", prompt=PROMPT, image=io.BytesIO(picture()))
    return [each.b64_json for each in answer.data or []]


async def four_edited(api: openai.AsyncOpenAI) -> list[str | None]:
    answer = await api.images.edit(model="still", prompt=PROMPT, image=[picture(), picture("JPEG")], n=4)
    return [each.b64_json for each in answer.data or []]


@pytest.mark.parametrize(
    ("ask", "count"),
    [
        pytest.param(generated, 1, id="generations"),
        pytest.param(four, 4, id="four of them"),
        pytest.param(streamed, 2, id="a stream"),
        pytest.param(edited, 1, id="edits, a form"),
        pytest.param(four_edited, 4, id="four edits of two files"),
    ],
)
async def test_what_was_cut_is_made_once(
    ask: Ask, count: int, cutter: Cutter, cut_api: openai.AsyncOpenAI, bodies: list[bytes], shop: Shop, customer: Tenant
) -> None:
    pictures = await ask(cut_api)
    assert cutter.cut == 1
    assert len(bodies) == 2
    assert (bodies[0] == bodies[1]) == (b"form-data" not in bodies[0]), "a form has another boundary"
    assert [opened(each).size for each in pictures] == [(64, 64)] * count
    account = await shop.settled(customer)
    files = await shop.query(
        "select count(*) from media m join generations g on g.id = m.generation_id where g.workspace_id = %s",
        customer.id,
    )
    paid_nanos = 10_000_000_000 - account.available_nanos
    assert (await shop.count(customer), files[0][0], format_usd(paid_nanos)) == (count, count, f"{0.05 * count:.2f}")
    await ask(cut_api)
    assert await shop.count(customer) == 2 * count, "those arrived"


async def test_one_that_was_to_be_delivered_once_is_still_there_for_the_repeat(
    cutter: Cutter, cut_api: openai.AsyncOpenAI, server: Server, shop: Shop, customer: Tenant
) -> None:
    answer = await cut_api.images.generate(model="still", prompt=PROMPT, extra_body={"store": False})
    [made] = answer.data or []
    assert cutter.cut == 1
    assert opened(made.b64_json).size == (64, 64)
    assert await shop.count(customer) == 1
    id_ = (made.model_extra or {})["id"]

    def is_gone() -> bool:
        found = httpx.get(f"{server.base_url}/v2/images/generations/{id_}", headers=customer.headers).json()
        return httpx.get(found["data"][0]["url"]).status_code == 410

    eventually(is_gone, "deleted once its answer had arrived")
