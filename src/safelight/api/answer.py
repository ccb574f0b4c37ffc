"""JSON answers, with amounts as exact numbers, and streams of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import msgspec
from starlette.responses import Response, StreamingResponse

_ENCODER = msgspec.json.Encoder(decimal_format="number")
HEARTBEAT_SECONDS = 15.0
"""After how long a stream of events that is quiet says that it is there."""

_UNBUFFERED = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def encode(body: object) -> bytes:
    """JSON in which amounts are exact numbers."""
    return _ENCODER.encode(body)


def json_response(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; money in it stays exact."""
    return Response(encode(body), status_code=status, headers=headers, media_type="application/json")


def head_of(response: Response) -> Response:
    """What HEAD gets of an answer to GET: all of its headers and nothing else (RFC 9110, section 9.3.2).

    A stream is not begun: whoever asks for its head does not wait for what is in it.
    """
    if isinstance(response, StreamingResponse):
        headers = response.raw_headers
        response = Response(status_code=response.status_code)
        response.raw_headers = headers
    response.body = b""
    return response


def event_stream(events: AsyncIterator[bytes]) -> Response:
    """Server-sent events, each sent as soon as it is there. What makes them is closed when the client leaves."""
    return StreamingResponse(events, headers=_UNBUFFERED, media_type="text/event-stream")


def server_sent_event(name: str, body: object) -> bytes:
    """One event with a JSON body (HTML, section 9.2)."""
    return b"event: %b\r\ndata: %b\r\n\r\n" % (name.encode(), encode(body))


def server_sent_id(id_: str) -> bytes:
    """What the client comes back with as ``Last-Event-ID``: goes before an event, or ends with a blank line alone."""
    return b"id: %b\r\n" % id_.encode()


def server_sent_comment(text: str) -> bytes:
    """What keeps a quiet stream open; clients pass it over."""
    return b": %b\r\n\r\n" % text.encode()
