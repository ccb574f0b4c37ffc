"""An answer that is lost on its way, and the official client's own repeat: one generation, one charge."""

from __future__ import annotations

import asyncio
import json
import select
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import getimg
import httpx
import pytest
import pytest_asyncio

from safelight.domain.money import format_usd
from tests.money.shop import Shop
from tests.support.cutting import Cutter
from tests.support.server import Server, eventually
from tests.support.tenants import Tenant

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


# Clients of few words


def ask(port: int, customer: Tenant, *, model: str = "still", address: str = "127.0.0.1") -> socket.socket:
    """A connection with a request for an image on its way."""
    opened = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(address, 0))
    send(opened, customer, model=model)
    return opened


def send(opened: socket.socket, customer: Tenant, *, model: str = "still") -> None:
    body = json.dumps({"model": model, "prompt": "a hill"}).encode()
    head = f"POST /v2/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {customer.key}\r\n"
    opened.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def answer(opened: socket.socket) -> str:
    """The id that the answer tells of, once all of it is there."""
    came = b""
    while not came.endswith(b"}"):
        piece = opened.recv(65536)
        assert piece, came
        came += piece
    assert came.startswith(b"HTTP/1.1 200"), came
    return str(json.loads(came.partition(b"\r\n\r\n")[2])["id"])


async def unseen(shop: Shop, *ids: str) -> int:
    rows = await shop.query("select count(*) from generations where id = any(%s) and unseen", list(ids))
    return int(rows[0][0])


async def test_of_many_answers_those_are_lost_whose_connection_ended(pair: tuple[Server, Server], shop: Shop) -> None:
    """Half of the clients go on with another request at once. No descriptor is left behind."""
    customer, server = await shop.customer(), pair[0]

    def open_files() -> int:
        return sum(process.num_fds() for process in server.processes())

    def one_after_the_other() -> tuple[list[str], list[str]]:
        lost, had = [], []
        for _ in range(15):
            with ask(server.port, customer) as opened:
                had.append(answer(opened))
                send(opened, customer)
                lost.append(answer(opened))
        return lost, had

    before = open_files()
    lost, had = await asyncio.to_thread(one_after_the_other)
    async with asyncio.timeout(60):
        while await unseen(shop, *lost) < len(lost):
            await asyncio.sleep(0.05)
    assert await unseen(shop, *had) == 0
    assert len({*lost, *had}) == 30
    await asyncio.to_thread(eventually, lambda: open_files() < before + 10, "the handles are closed")


async def test_a_request_under_way_keeps_its_connection_among_many_idle_ones(
    pair: tuple[Server, Server], shop: Shop
) -> None:
    """It is the oldest of its client's, and would be the first to go."""
    customer, port = await shop.customer(), pair[0].port
    with ExitStack() as stack:
        busy = stack.enter_context(ask(port, customer, model="still-slow", address="127.0.0.9"))
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60, source_address=("127.0.0.9", 0)))
            for _ in range(200)
        ]

        def closed() -> int:
            return len(select.select(idle, [], [], 0)[0])

        await asyncio.to_thread(eventually, lambda: closed() >= 72, "what is too much is closed")
        assert select.select([busy], [], [], 0)[0] == [], "it is not answered yet"
        assert await asyncio.to_thread(answer, busy)
