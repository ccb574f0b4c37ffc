"""A client that leaves before the last of a file that is delivered once has taken nothing from the next."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message

from safelight.api import downloads
from safelight.api.app import make_app
from safelight.api.auth import STATE, ApiState
from safelight.api.dialect import DIALECTS
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.keeping.services import KeepingServices
from tests.api.test_dialects import House
from tests.support.asgi import served

pytestmark = pytest.mark.database

CONTENT = os.urandom(1_000_000)


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[tuple[House, httpx.AsyncClient, ASGIApp]]:
    house = House(database_url)
    app = make_app(house.open_state, (GETIMG,), most_open=100, most_refusals=1000)
    async with served(app) as client:
        yield house, client, app


class Client:
    """One GET of a link, whose client leaves when told."""

    def __init__(self, state: ApiState, url: str) -> None:
        path, _, query = url.removeprefix("http://localhost").partition("?")
        self._scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
            "state": {STATE: state, DIALECTS: (GETIMG,)},
        }
        self.has_left = asyncio.Event()
        self.received = b""
        self.leaves_after: int | None = None

    async def get(self, app: ASGIApp) -> bytes:
        await app(self._scope, self._receive, self._send)
        return self.received

    async def _receive(self) -> Message:
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.received += message.get("body", b"")
        if self.leaves_after is not None and len(self.received) >= self.leaves_after:
            self.has_left.set()


@pytest.mark.parametrize("moment", ["on the way", "before the last piece", "while its end is claimed"])
async def test_the_next_gets_it(
    moment: str, opened: tuple[House, httpx.AsyncClient, ASGIApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, http, app = opened
    id_, url = await large_file(house, http)
    state = house.state
    leaving = Client(state, url)
    if moment == "while its end is claimed":
        claim_end = downloads.claim_end

        async def claim_and_leave(services: KeepingServices, generation_id: str, index: int) -> bool:
            is_claimed = await claim_end(services, generation_id, index)
            leaving.has_left.set()
            await asyncio.sleep(0)
            return is_claimed

        with monkeypatch.context() as patch:
            patch.setattr(downloads, "claim_end", claim_and_leave)
            received = await leaving.get(app)
    else:
        leaving.leaves_after = 1 if moment == "on the way" else len(CONTENT) - 120_000
        received = await leaving.get(app)
    assert len(received) < len(CONTENT) and CONTENT.startswith(received)
    marks = "select tombstoned_at is not null, deleted_at is not null from media where generation_id = %s"
    assert await house.run(marks, id_) == [(False, False)]
    assert await Client(state, url).get(app) == CONTENT
    assert await house.run(marks, id_) == [(True, True)]


async def large_file(house: House, http: httpx.AsyncClient) -> tuple[str, str]:
    """The id of a generation whose file comes in several pieces, and its link."""
    body = {"model": "still", "prompt": "a hill", "store": False}
    made = (await http.post("/v2/images/generations", json=body, headers=house.rich)).json()
    ((key,),) = await house.run("select key from media where generation_id = %s", made["id"])
    path = house.state.keeping.store.local_path(key)
    assert path is not None
    await asyncio.to_thread(path.write_bytes, CONTENT)
    digest = hashlib.sha256(CONTENT).digest()
    resized = "update media set size_bytes = %s, sha256 = %s where generation_id = %s"
    await house.run(resized, len(CONTENT), digest, made["id"])
    return made["id"], made["data"][0]["url"]
