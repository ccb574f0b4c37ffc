"""A moderation service that speaks OpenAI's ``/moderations``, and what becomes of its failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from safelight.domain.errors import ServiceUnavailable
from safelight.domain.media import Reference
from safelight.moderation.endpoint import ModerationEndpoint

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PICTURE = Reference(role="reference_image", mime_type="image/png", data=b"\x89PNG")


@asynccontextmanager
async def service(handler: Handler) -> AsyncIterator[ModerationEndpoint]:
    app = web.Application()
    app.router.add_post("/v1/moderations", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    moderator = ModerationEndpoint(f"http://127.0.0.1:{port}/v1/", "sk-secret", "some-model")
    try:
        yield moderator
    finally:
        await moderator.close()
        await runner.cleanup()


def answering(*results: dict[str, Any], seen: list[Any] | None = None) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        body = await request.json()
        if seen is not None:
            seen.append((request.headers.get("authorization"), body))
        return web.json_response({"id": "modr-1", "model": "some-model", "results": list(results)})

    return handler


async def test_a_clean_prompt_passes_and_is_asked_as_the_protocol_says() -> None:
    seen: list[Any] = []
    async with service(answering({"flagged": False, "categories": {}}, seen=seen)) as moderator:
        assert await moderator.check_prompt("a lake", "default") is None
    assert seen == [("Bearer sk-secret", {"model": "some-model", "input": "a lake"})]


async def test_the_first_flagged_category_is_told() -> None:
    result = {"flagged": True, "categories": {"harassment": False, "violence": True, "sexual": True}}
    async with service(answering(result)) as moderator:
        assert await moderator.check_prompt("x", "default") == "violence"


async def test_pictures_are_sent_as_data_urls() -> None:
    seen: list[Any] = []
    async with service(answering({"flagged": True, "categories": {"sexual": True}}, seen=seen)) as moderator:
        assert await moderator.check_images([PICTURE], "default") == "sexual"
    assert seen[0][1]["input"][0]["image_url"]["url"] == "data:image/png;base64,iVBORw=="


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
async def test_an_answer_that_comes_in_pieces(mark: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for piece in (mark, b'{"results": [{"flagged": true, "cat', b'egories": {"violence": true}}', b"]}"):
            await answer.write(piece)
            await asyncio.sleep(0.05)
        return answer

    async with service(handler) as moderator:
        assert await moderator.check_prompt("x", "default") == "violence"


async def _breaks(_: web.Request) -> web.Response:
    raise web.HTTPInternalServerError(text="secret words")


async def _babbles(_: web.Request) -> web.Response:
    return web.Response(text="<html>hello</html>")


async def _redirects(_: web.Request) -> web.Response:
    raise web.HTTPFound("http://127.0.0.1:1/elsewhere")


async def _answers_nothing(_: web.Request) -> web.Response:
    return web.Response(text=json.dumps({"results": None}))


async def _checks_nothing(_: web.Request) -> web.Response:
    return web.json_response({"results": []})


async def _never_ends(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" " * 65536)


@pytest.mark.parametrize("handler", [_breaks, _babbles, _redirects, _answers_nothing, _checks_nothing, _never_ends])
async def test_while_the_service_does_not_answer_nothing_is_let_through(handler: Handler) -> None:
    async with service(handler) as moderator:
        with pytest.raises(ServiceUnavailable) as away:
            await moderator.check_prompt("x", "default")
    assert "secret" not in away.value.message


async def test_a_service_that_is_not_there_lets_nothing_through() -> None:
    moderator = ModerationEndpoint("http://127.0.0.1:9/v1", None, "m")
    with pytest.raises(ServiceUnavailable):
        await moderator.check_prompt("x", "default")
    await moderator.close()
