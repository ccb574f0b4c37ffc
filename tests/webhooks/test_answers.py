"""What is kept of a receiver's answer: its beginning, as text that shows; and a bad one holds up nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from safelight.outbound.policy import OutboundPolicy
from safelight.webhooks.sender import MOST_ANSWER_BYTES, NotTaken, Sender, Taken, readable
from safelight.webhooks.signing import new_secret

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
SECRET = new_secret()


async def answer_of(write: Write, *, timeout_seconds: float = 10) -> Taken | NotTaken:
    """What an attempt comes to at a receiver that answers so, byte by byte."""

    serving: list[asyncio.Task[object]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        await reader.readuntil(b"\r\n\r\n")
        try:
            await write(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = Sender(OutboundPolicy.parse(["127.0.0.1"]), max_connections=4, timeout_seconds=timeout_seconds)
    try:
        return await sender.send(f"http://127.0.0.1:{port}/", "evt_1", b"{}", [SECRET])
    finally:
        await sender.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        server.close()


def saying(status: str, *pieces: bytes) -> Write:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return write


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await writer.drain()


async def dribbling(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.2)


async def silent(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 1000\r\n\r\n")
    await writer.drain()
    await asyncio.Event().wait()


async def broken(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun")
    await writer.drain()


@pytest.mark.parametrize(
    ("write", "taken", "kept"),
    [
        (saying("200 OK", b"thanks"), True, "thanks"),
        (saying("204 No Content"), True, ""),
        (saying("500 No", b'{\r\n\t"error": 1}'), False, '{\n    "error": 1}'),
        (saying("200 OK", b"x" * 100_000), True, "x" * MOST_ANSWER_BYTES),
        (saying("302 Found", b"elsewhere"), False, "elsewhere"),
        (endless, True, "x" * MOST_ANSWER_BYTES),
        (silent, False, ""),
        (broken, True, "begun"),
    ],
)
async def test_the_status_counts_and_the_beginning_is_kept(write: Write, taken: bool, kept: str) -> None:
    outcome = await answer_of(write)
    assert isinstance(outcome, Taken) is taken
    assert outcome.exchange is not None
    assert outcome.exchange.response == kept
    assert set(outcome.exchange.headers) == {"content-type", "webhook-id", "webhook-timestamp", "webhook-signature"}
    assert outcome.exchange.duration_ms >= 0


async def test_one_that_comes_by_drops_is_taken_with_what_came() -> None:
    outcome = await answer_of(dribbling)
    assert isinstance(outcome, Taken)
    assert outcome.exchange is not None
    assert set(outcome.exchange.response or "") == {"x"}
    assert len(outcome.exchange.response or "") < 100


async def test_without_an_answer_there_is_nothing_to_keep() -> None:
    async def nothing(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    outcome = await answer_of(nothing, timeout_seconds=0.2)
    assert isinstance(outcome, NotTaken)
    assert (outcome.error, outcome.status) == ("timeout", None)
    assert outcome.exchange is not None
    assert outcome.exchange.response is None


async def test_what_was_never_sent_has_no_exchange() -> None:
    sender = Sender(OutboundPolicy.parse([]), max_connections=1)
    outcome = await sender.send("http://127.0.0.1:9/", "evt_1", b"{}", [SECRET])
    await sender.close()
    assert isinstance(outcome, NotTaken)
    assert outcome.exchange is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"a\x00b\x1b[2Jc", "a\\u0000b\\u001b[2Jc"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}" * 2),
        (f"it is {SECRET}!".encode(), "it is ***!"),
        (f"cut: {SECRET[:20]}".encode(), "cut: ***"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}evil".encode(), "\\u202eevil"),
    ],
    ids=["control characters", "no UTF-8", "a secret", "half a secret", "turned round"],
)
def test_it_shows_and_tells_no_secret(body: bytes, text: str) -> None:
    assert readable(body, [SECRET]) == text


def test_escapes_make_it_no_longer() -> None:
    assert len(readable(b"\x00" * MOST_ANSWER_BYTES, []).encode()) <= MOST_ANSWER_BYTES
    assert len(readable(b"\xff" * MOST_ANSWER_BYTES, []).encode()) <= MOST_ANSWER_BYTES
