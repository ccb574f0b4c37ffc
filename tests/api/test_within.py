"""Calls from within the process: what they carry, what they hold, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from safelight.api.waits import hold
from safelight.api.within import ANSWERS, Within


class App:
    """Answers with what it was asked, and notes what is held and what has ended."""

    def __init__(self) -> None:
        self.held = 0
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        hold(request, self._place())
        if scope["path"] == "/stream":
            await StreamingResponse(self._pieces())(scope, receive, send)
            return
        seen = {"body": (await request.body()).decode(), "query": scope["query_string"].decode()}
        headers = dict(request.headers)
        await JSONResponse({**seen, "headers": headers, "raw": scope["raw_path"].decode()}, 201)(scope, receive, send)

    @contextmanager
    def _place(self) -> Iterator[None]:
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    async def _pieces(self) -> Any:
        try:
            for number in range(1000):
                yield b"%d\n" % number
                await asyncio.sleep(0)
        finally:
            self.ended.set()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def within(app: App) -> Within:
    headers = [
        (b"authorization", b"Bearer sk_x"),
        (b"content-length", b"999"),
        (b"cookie", b"a=b"),
        (b"idempotency-key", b"the outer one's"),
        (b"host", b"evil.example"),
    ]
    scope = {"type": "http", "asgi": {}, "http_version": "1.1", "scheme": "http", "headers": headers}
    return Within({**scope, "client": ("10.0.0.1", 1), "server": None, "state": {ANSWERS: app}})


async def test_a_call_has_the_callers_key_and_nothing_else_of_theirs(app: App, within: Within) -> None:
    answer = await within.call("POST", "/v2/x y", query={"a": "b c"}, headers={"idempotency-key": "k"}, body=b'{"a":1}')
    assert answer.status == 201
    assert b'"body":"{\\"a\\":1}"' in (answer.body or b"")
    assert b'"query":"a=b+c"' in (answer.body or b"")
    assert b'"raw":"/v2/x%20y"' in (answer.body or b"")
    told = b'"headers":{"authorization":"Bearer sk_x","idempotency-key":"k","content-type":"application/json"'
    assert told + b',"content-length":"7"}' in (answer.body or b"")
    assert app.held == 0


async def test_an_answer_that_is_longer_than_wanted_is_none(within: Within) -> None:
    assert (await within.call("GET", "/stream", most_bytes=100)).body is None
    assert len((await within.call("GET", "/stream", most_bytes=10_000)).body or b"") == 3890


async def test_a_stream_that_is_left_is_ended(app: App, within: Within) -> None:
    async with within.stream("/stream") as (status, pieces):
        assert (status, await anext(pieces)) == (200, b"0\n")
        assert app.held == 1
    assert app.ended.is_set()
    assert app.held == 0


async def test_a_stream_is_read_to_its_end(within: Within) -> None:
    async with within.stream("/stream") as (_, pieces):
        lines = b"".join([piece async for piece in pieces]).split()
    assert len(lines) == 1000
