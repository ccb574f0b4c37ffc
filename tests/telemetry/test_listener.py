"""The listener alone: who is slow, or many, or sends too much, keeps nobody else from an answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from safelight.telemetry import listener
from safelight.telemetry.listener import Listener, Page

TOKEN = "s3cret"
PAGE = b"x" * 2_000_000
ASK = f"GET /metrics HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n".encode()


@contextlib.asynccontextmanager
async def listening(page: Page) -> AsyncIterator[int]:
    """Its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as place:
        task = asyncio.create_task(Listener({"/metrics": page}, TOKEN).serve(place))
        try:
            yield place.getsockname()[1]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def whole() -> bytes:
    return PAGE


async def answer(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    found = await reader.read()
    writer.close()
    return found


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),  # nothing, ever
        (b"GET /met", b""),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"401"),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer wrong\r\n\r\n", b"401"),
        (b"no request\r\n\r\n", b"400"),
    ],
)
async def test_who_stays_keeps_nobody_out(sent: bytes, status: bytes) -> None:
    async with listening(whole) as port, contextlib.AsyncExitStack() as stack:
        for _ in range(300):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(sent)
        if status:
            assert status in await reader.readuntil(b"\r\n")
        assert (await answer(port, ASK + b"\r\n")).endswith(PAGE)


async def test_who_is_answered_is_not_sent_away_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_MOST_AT_ONCE", 2)
    is_asked, may_go = asyncio.Event(), asyncio.Event()

    async def slow() -> bytes:
        is_asked.set()
        await may_go.wait()
        return PAGE

    async with listening(slow) as port:
        first = asyncio.create_task(answer(port, ASK + b"\r\n"))
        await is_asked.wait()
        for _ in range(5):
            assert b"401" in await answer(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        may_go.set()
        assert (await first).endswith(PAGE)


@pytest.mark.parametrize("more", [ASK + b"\r\n", b"Content-Length: 9\r\n\r\n123456789", b"\r\n" + b"x" * 600_000])
async def test_an_answer_is_whole_whatever_else_is_sent(more: bytes) -> None:
    sent = ASK + (b"\r\n" if more.startswith(b"GET") else b"") + more
    async with listening(whole) as port:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.setblocking(False)
            loop, found = asyncio.get_running_loop(), bytearray()
            await loop.sock_connect(slow, ("127.0.0.1", port))
            await loop.sock_sendall(slow, sent)
            while part := await loop.sock_recv(slow, 60_000):
                found += part
        assert found.endswith(PAGE)


@pytest.mark.parametrize(
    "shown",
    [b"", b"Bearer", b"Bearer ", b"bearer s3cret", b"Bearer s3cre", b"Bearer s3cret, Bearer s3cret", b"Basic s3cret"],
)
async def test_what_is_no_token(shown: bytes) -> None:
    async with listening(whole) as port:
        told = await answer(port, b"GET /metrics HTTP/1.1\r\nAuthorization: " + shown + b"\r\n\r\n")
        twice = ASK + b"Authorization: Bearer s3cret\r\n\r\n"
        assert b" 401 " in told and b" 401 " in await answer(port, twice)
