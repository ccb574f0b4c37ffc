"""How a stream of server-sent events is read (HTML, section 9.2.6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

import msgspec

LONGEST_EVENT_BYTES = 64 * 1024 * 1024


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A server-sent event. ``id`` is that of the last event that had one, and resumes the stream behind it.

    Without a ``name`` and ``data`` nothing happened, and the stream has come to ``id``.
    """

    name: str
    data: str
    id: str


async def parse_events(
    pieces: AsyncIterable[bytes], last_event_id: str = "", *, most_bytes: int = LONGEST_EVENT_BYTES
) -> AsyncGenerator[StreamEvent, None]:
    """The events of a stream that comes in pieces of any length. One that was cut off is dropped.

    Raises ``ValueError`` for one that is longer than ``most_bytes``, or has no end.
    """
    rest, name, has_id, size_bytes = b"", "", False, 0
    data: list[str] = []
    async for piece in pieces:
        size_bytes += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if not line:
                if data:
                    yield StreamEvent(name=name or "message", data="\n".join(data), id=last_event_id)
                elif has_id:
                    yield StreamEvent(name="", data="", id=last_event_id)
                name, data, has_id, size_bytes = "", [], False, len(rest)
                continue
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id" and "\0" not in value:
                last_event_id, has_id = value, True
        if size_bytes > most_bytes:
            raise ValueError("an event has no end")
