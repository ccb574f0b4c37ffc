"""Pictures by id take the memory that as many bytes in a body would, and names are those of generations."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from safelight.api.auth import STATE
from safelight.api.mcp.calls import WithinApi
from safelight.api.waits import BodyMemory, holding
from safelight.api.within import ANSWERS
from safelight.cli.client.connection import Connection
from safelight.cli.client.mcp import keeper
from safelight.cli.client.profiles import Profile
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.ids import new_generation_id
from safelight.domain.scope import Principal
from safelight.mcp import references
from safelight.mcp.api import Refused
from tests.contract.accounts import Account
from tests.mcp.hosts import ERAS, facts, host, words
from tests.mcp.test_http import modern, modern_headers

SENDER = Principal(key_id=1, workspace_id=1, is_capped=False)


async def test_what_is_fetched_for_a_request_counts_until_that_has_ended() -> None:
    pieces = [b"a" * 40, b"b" * 40]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(stream())(scope, receive, send)

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    memory = BodyMemory(200)
    scope: dict[str, Any] = {"type": "http", "asgi": {}, "http_version": "1.1", "scheme": "http", "headers": []}
    scope |= {"client": None, "server": None, "safelight.principal": SENDER}
    scope["state"] = {ANSWERS: app, STATE: SimpleNamespace(body_memory=memory)}
    url = "http://localhost/v2/downloads/x/0?sig=1"
    with holding(scope):
        api = WithinApi(scope)
        assert await api.download(url, 100) == b"".join(pieces)
        with pytest.raises(Refused, match="Too many large bodies"):
            await api.download(url, 100)
    with pytest.raises(Refused, match="Nobody waits"):
        await api.download(url, 100)
    with memory.of(SENDER) as take:
        take(100)  # half of all, which is the most
        with pytest.raises(ServiceUnavailable):
            take(1)


async def test_no_more_pictures_are_fetched_than_a_body_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    class Api:
        async def events(self, path: str) -> AsyncIterator[tuple[str, Any]]:
            file = {"url": path, "mime_type": "image/png"}
            yield "completed", {"status": "completed", "type": "image", "data": [file]}

        async def download(self, url: str, most_bytes: int) -> bytes:
            fetched.append(url)
            return b"x" * 300

    monkeypatch.setattr(references, "_MOST_TOGETHER_BYTES", 1000)
    given = references.sources(reference_images=[new_generation_id() for _ in range(8)])
    with pytest.raises(Refused, match="over 25 MiB together"):
        await references.resolved(Api(), given)  # type: ignore[arg-type]
    assert len(fetched) == 3


@pytest.mark.parametrize(
    ("name", "mime_type"), [("../../outside", "image/png"), ("/tmp/outside", "image/png"), (None, "text/x-sh")]
)
async def test_a_file_is_kept_under_no_name_of_a_servers_choice(tmp_path: Path, name: str, mime_type: str) -> None:
    async with Connection(Profile(name="p", base_url="http://127.0.0.1:1", key="sk_x")) as connection:
        file = {"url": "http://127.0.0.1:1/x", "mime_type": mime_type}
        with pytest.raises(Refused, match="not one of Safelight's"):
            await keeper(connection, tmp_path)({"id": name or new_generation_id(), "data": [file]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("key", ["ключ 🚢", "é", " a ", "mine"])
async def test_a_key_of_any_text_is_one_order(account: Account, era: str, key: str) -> None:
    arguments = {"prompt": "a hill", "model": "still", "idempotency_key": key}
    async with host(account, era) as client:
        made = [await client.call_tool("generate_image", arguments) for _ in range(2)]
    ids = [each["id"] for result in made for each in facts(result)["generations"]]
    assert (len(ids), len(set(ids))) == (2, 1), words(made[0])


@pytest.mark.parametrize("place", ["prompt", "idempotency_key"])
def test_half_a_character_is_refused_and_named(account: Account, place: str) -> None:
    body = modern("generate_image", {"prompt": "a hill", "model": "still", place: "a\ud800"})
    headers = account.headers | modern_headers("generate_image")
    answer = httpx.post(f"{account.base_url}/mcp", headers=headers, content=json.dumps(body), timeout=60)
    assert answer.json()["error"]["code"] == -32602
    assert "half a surrogate pair" in answer.json()["error"]["message"]
