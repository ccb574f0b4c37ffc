"""A WebSocket passes the same guard as a request, and no redirect leads it elsewhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

import pytest

from safelight.outbound.client import GuardedClient
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import OutboundRefused
from tests.outbound.servers import Server, answer, redirect

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server({})
    await server.listen("127.0.0.1")

    async def greet(writer: asyncio.StreamWriter) -> None:
        key = next(line for line in server.requests[-1].splitlines() if line.lower().startswith("sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(f"{key.split()[1]}{_GUID}".encode()).digest()).decode()
        head = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{head}".encode() + b"\x81\x05hello\x88\x00")

    server.scripts["/ws"] = greet
    yield server
    await server.close()


async def heard(server: Server, path: str, *allow: str) -> list[object]:
    client = GuardedClient(OutboundPolicy.parse(allow))
    try:
        async with client.websocket(
            f"http://127.0.0.1:{server.port}{path}", headers={"Authorization": "Bearer k"}, max_message_bytes=1000
        ) as socket:
            return [message.data async for message in socket]
    finally:
        await client.close()


async def test_messages_come_and_the_key_goes_along(server: Server) -> None:
    assert await heard(server, "/ws?clientId=a", f"127.0.0.1:{server.port}") == ["hello"]
    assert "Authorization: Bearer k" in server.requests[0]
    assert server.requests[0].startswith("GET /ws?clientId=a ")


async def test_what_is_not_opened_is_not_reached(server: Server) -> None:
    for allow in ((), ("127.0.0.1:1",)):
        with pytest.raises(OutboundRefused):
            await heard(server, "/ws", *allow)
    assert server.connections == 0


async def test_a_redirect_is_not_followed(server: Server) -> None:
    server.scripts["/moved"] = redirect("/ws")
    with pytest.raises(OutboundRefused) as refused:
        await heard(server, "/moved", f"127.0.0.1:{server.port}")
    assert refused.value.reason == "bad_redirect"
    assert server.paths() == ["/moved"]


@pytest.mark.parametrize("script", [answer(b"hello"), answer(status="404 Not Found"), b"nonsense"])
async def test_what_is_no_websocket_is_refused(server: Server, script: bytes) -> None:
    server.scripts["/other"] = script
    with pytest.raises(OutboundRefused) as refused:
        await heard(server, "/other", f"127.0.0.1:{server.port}")
    assert refused.value.reason == "broken_answer"
