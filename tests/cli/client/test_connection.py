"""Calls: which are sent again, what is told of those that fail, and that the key goes to the server alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from safelight.cli.client.answers import Generation, read
from safelight.cli.client.connection import Event, parse_events
from safelight.cli.client.exits import FAILED, UNKNOWN, UNREACHABLE, Answered, CommandFailed, Unreachable
from tests.cli.client.stand_in import KEY, Handler, connected, error

ANSWER = {"id": "req-01K7Z3M9V2Q4R6S8T0V2X4Z6B8", "status": "pending"}


def in_turn(*answers: Callable[[], web.StreamResponse] | None) -> tuple[Handler, list[web.Request]]:
    """Answers one after the other, the last for good; None cuts the connection."""
    asked: list[web.Request] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        asked.append(request)
        answer = answers[min(len(asked), len(answers)) - 1]
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer()

    return handler, asked


def good() -> web.Response:
    return web.json_response(ANSWER)


@pytest.mark.parametrize(
    "first",
    [
        None,
        lambda: error(503, "service_unavailable", x_should_retry="true", retry_after="0"),
        lambda: error(504, "generation_unknown", x_should_retry="true"),
        lambda: error(409, "idempotency_conflict", x_should_retry="true"),
        lambda: error(429, "rate_limit", retry_after="0"),
        lambda: web.Response(status=502, text="<html>a proxy's own</html>"),
    ],
)
def test_what_is_sent_again_is_the_very_same(first: Any) -> None:
    handler, asked = in_turn(good, first, None, good)

    async def scenario() -> None:
        async with connected(handler) as connection:
            await connection.get("/v2/models")
            answer = await connection.post("/v2/videos/generations", b'{"a": 1}', key="the-key")
            assert read(answer.body, Generation).id == ANSWER["id"]

    asyncio.run(scenario())
    assert [request.headers.get("idempotency-key") for request in asked] == [None, "the-key", "the-key", "the-key"]
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda: error(502, "generation_failed", x_should_retry="true"), FAILED),
        (lambda: error(504, "generation_unknown", x_should_retry="false"), UNKNOWN),
        (lambda: error(429, "rate_limit", x_should_retry="false"), UNREACHABLE),
        (lambda: error(500, "internal_error", x_should_retry="false"), FAILED),
        (lambda: error(400, "invalid_parameter"), 2),
        (lambda: error(401, "invalid_api_key"), 2),
        (lambda: error(402, "quota_exceeded"), 4),
        (lambda: error(422, "content_policy_violation"), 3),
        (lambda: web.Response(text="a home page", status=404), FAILED),
        (lambda: web.Response(status=302, headers={"location": "https://example.com/"}), FAILED),
    ],
)
def test_what_is_not_sent_again(answer: Any, status: int) -> None:
    handler, asked = in_turn(answer)

    async def scenario() -> None:
        async with connected(handler) as connection:
            with pytest.raises(Answered) as raised:
                await connection.post("/v2/videos/generations", b"{}", key="k")
            assert raised.value.status == status
            assert KEY not in str(raised.value)

    asyncio.run(scenario())
    assert len(asked) == 1


def test_retry_after_is_waited_for_or_given_up_on() -> None:
    handler, asked = in_turn(lambda: error(429, "rate_limit", retry_after="30"))

    async def scenario() -> None:
        async with connected(handler) as connection:
            with pytest.raises(Answered) as raised:
                await connection.get("/v2/models")
            assert raised.value.status == UNREACHABLE

    asyncio.run(scenario())
    assert len(asked) == 1, "30 s are more than its patience"


def test_patience_ends() -> None:
    handler, asked = in_turn(good, None)

    async def scenario() -> None:
        async with connected(handler, patience_seconds=1.5) as connection:
            await connection.get("/v2/models")
            with pytest.raises(Unreachable, match="the connection broke off") as raised:
                await connection.get("/v2/models")
            assert (raised.value.status, KEY in str(raised.value)) == (UNREACHABLE, False)

    asyncio.run(scenario())
    assert len(asked) >= 4


def test_an_answer_that_is_none_of_safelights() -> None:
    for body in (b"", b"[]", b'{"id": 3}', b'{"id": "../../x", "status": "pending"}', b"\xff"):
        with pytest.raises(CommandFailed, match="not one of Safelight's"):
            read(body, Generation)


def test_events_as_they_come() -> None:
    text = (
        "\ufeff: a comment\r\nevent: progress\r\ndata: 1\r\n\r\nid: 7\ndata: two\ndata:lines\n\n"
        "event: none\n\ndata\n\nid: 8\nevent: cut off\ndata: x\n"
    )

    async def lines() -> AsyncIterator[bytes]:
        for line in text.encode().splitlines(keepends=True):
            yield line

    async def scenario() -> list[Event]:
        return [event async for event in parse_events(lines(), "6")]

    assert asyncio.run(scenario()) == [
        Event(name="progress", data="1", id="6"),
        Event(name="message", data="two\nlines", id="7"),
        Event(name="message", data="", id="7"),
    ]


def test_a_stream_that_breaks_off() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("last-event-id", ""))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"id: 9\ndata: x\n\n")
        assert request.transport is not None
        request.transport.close()
        return response

    async def scenario() -> None:
        async with connected(handler) as connection:
            seen = []
            with pytest.raises(Unreachable):
                async for event in connection.events("/v2/events", last_event_id="8"):
                    seen.append(event.id)
            assert seen == ["9"]

    asyncio.run(scenario())
    assert asked == ["8"]
