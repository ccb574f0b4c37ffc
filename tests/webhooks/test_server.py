"""Webhooks of a real server: sent by its worker, verified by an independent implementation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx

from tests.support.server import Server, safelight
from tests.webhooks.receiver import Receiver
from tests.webhooks.world import until

IMAGE = {"model": "seedream-5-lite", "prompt": "a pier", "resolution": "1K", "aspect_ratio": "1:1"}


async def test_a_server_tells_what_it_made_and_whom_it_was_told_to(
    fresh_server: Callable[..., Server], receiver: Receiver
) -> None:
    server = await asyncio.to_thread(
        lambda: fresh_server(env={"SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1"}).wait_until_ready()
    )

    def create(*arguments: str) -> str:
        options = ["--data-dir", str(server.data_dir), "--json"]
        printed = safelight("webhooks", "create", *arguments, *options, env={"SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1"})
        return str(json.loads(printed.stdout)["secret"])

    everything = await asyncio.to_thread(create, receiver.url + "/all")
    own = await asyncio.to_thread(create)
    async with httpx.AsyncClient(base_url=server.base_url, headers=server.headers, timeout=120) as client:
        refused = await client.post("/v2/images/generations", json=IMAGE | {"webhook_url": "http://127.0.0.2/"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "webhook_url")
        made = await client.post("/v2/images/generations", json=IMAGE | {"webhook_url": receiver.url + "/own"})
        assert made.status_code == 200
        answer = (await client.get(f"/v2/images/generations/{made.json()['id']}")).json()
    await until(lambda: len(receiver.received) == 2)
    assert {told.is_signed_with(everything) for told in receiver.received} == {True, False}
    assert {told.is_signed_with(own) for told in receiver.received} == {True, False}
    assert [told.json["data"] for told in receiver.received] == [answer, answer]
