"""The answer to a POST is made from what the run came to, and must be what the database tells later, byte for byte."""

from __future__ import annotations

import httpx
import pytest

from tests.support.server import Server


@pytest.mark.database
@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_what_is_answered_is_what_is_on_record(server: Server, output_format: str) -> None:
    order = {
        "model": "seedream-5-lite",
        "prompt": "A quiet harbour",
        "resolution": "1K",
        "output_format": output_format,
    }
    async with httpx.AsyncClient(base_url=server.base_url, headers=server.headers, timeout=90) as client:
        made = await client.post("/v2/images/generations", json=order)
        assert made.status_code == 200, made.text
        again = await client.get(f"/v2/images/generations/{made.json()['id']}")
    assert again.status_code == 200
    assert again.content == made.content
