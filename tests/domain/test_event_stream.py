"""Server-sent events, whatever pieces of a stream they come in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from safelight.domain.event_stream import StreamEvent, parse_events

ODD = (
    "\ufeff: a comment\r\nevent: progress\r\ndata: 1\r\n\r\nid: 7\ndata: two\ndata:lines\n\n"
    "event: none\n\ndata\n\nid: 8\nevent: cut off\ndata: x\n"
)
PLACES = "id: a\r\n\r\n: there\r\n\r\nid: b\r\nevent: x\r\ndata: é\r\n\r\n\r\ndata: 2\r\n\r\nid: c\r\n"


async def read(text: str, size: int) -> list[tuple[str, str, str]]:
    async def pieces() -> AsyncIterator[bytes]:
        stream = text.encode()
        for at in range(0, len(stream), size):
            yield stream[at : at + size]

    return [(event.name, event.data, event.id) async for event in parse_events(pieces(), "6")]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_events_are_read_whatever_pieces_they_come_in(size: int) -> None:
    assert await read(ODD, size) == [("progress", "1", "6"), ("message", "two\nlines", "7"), ("message", "", "7")]
    assert await read(PLACES, size) == [("", "", "a"), ("x", "é", "b"), ("message", "2", "b")]


async def test_a_stream_without_an_id_has_none() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    assert [event async for event in parse_events(pieces())] == [StreamEvent(name="message", data="1", id="")]
