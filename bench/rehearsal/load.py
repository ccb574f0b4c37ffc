"""The official client at work, and what it saw: errors that reached its caller, repeats, and the time it took."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import getimg
import httpx
import msgspec
from aiohttp import web

T = TypeVar("T")

_PAUSE_SECONDS = 0.3
_PATIENCE_SECONDS = 90.0


class Wish(msgspec.Struct, kw_only=True):
    """One image or video that a client wants. The prompt is its own. ``sha256``: of the file that it got."""

    type: str
    prompt: str
    phase: str
    asked_at: float
    answered_at: float | None = None
    id: str | None = None
    sha256: str | None = None
    error: str | None = None


class Load:
    """Clients, each with one wish after the other, until ``over``. All is noted under the ``phase`` of the moment."""

    def __init__(self, address: str, key: str) -> None:
        self.phase = ""
        self.over = False
        self.wishes: list[Wish] = []
        self.errors: Counter[tuple[str, str]] = Counter()
        """What reached the client's caller, by phase and kind."""
        self.repeats: Counter[tuple[str, str]] = Counter()
        """What the official client repeated by itself, by phase and the answer that made it."""
        self.calls: Counter[str] = Counter()
        self._address, self._key = address, key
        self._why: dict[str, str] = {}

    @contextlib.asynccontextmanager
    async def at_work(self, images: int, videos: int) -> AsyncIterator[None]:
        """While inside, so many clients of each kind work. At the end each has what it asked for last, or gave up."""
        hooks = {"request": [self._note_request], "response": [self._note_response]}
        http = getimg.DefaultAsyncHttpxClient(event_hooks=hooks)
        async with (
            getimg.AsyncGetimgAI(api_key=self._key, base_url=self._address, http_client=http) as api,
            httpx.AsyncClient(timeout=60) as plain,
        ):
            works = [self._images(api, plain) for _ in range(images)] + [
                self._videos(api, plain) for _ in range(videos)
            ]
            clients = [asyncio.create_task(work) for work in works]
            try:
                yield
            finally:
                self.over = True
                await asyncio.gather(*clients)

    async def _images(self, api: getimg.AsyncGetimgAI, plain: httpx.AsyncClient) -> None:
        while not self.over:
            wish = self._wish("image")
            made = await self._tried(wish, api.images.generate(model="image", prompt=wish.prompt))
            if made is not None:
                wish.id, wish.answered_at = made.id, time.monotonic()
                await self._download(wish, str(made.data[0].url), plain)

    async def _videos(self, api: getimg.AsyncGetimgAI, plain: httpx.AsyncClient) -> None:
        while not self.over:
            wish = self._wish("video")
            order = api.videos.generations.create
            taken = await self._tried(wish, order(model="video", prompt=wish.prompt, duration=2))
            if taken is not None:
                wish.id = taken.id
                await self._see_through(wish, api, plain)

    async def _see_through(self, wish: Wish, api: getimg.AsyncGetimgAI, plain: httpx.AsyncClient) -> None:
        assert wish.id is not None
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            found = await self._tried(None, api.videos.generations.retrieve(wish.id))
            if found is not None and found.status == "failed":
                self._note_error(wish, "video failed")
                return
            if found is not None and found.status == "completed" and found.data:
                wish.answered_at = time.monotonic()
                await self._download(wish, str(found.data[0].url), plain)
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        self._note_error(wish, "video not there")

    async def _download(self, wish: Wish, url: str, plain: httpx.AsyncClient) -> None:
        """With a plain GET, as the public examples do; again for as long as it is worth it."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            self.calls[self.phase] += 1
            try:
                answer = await plain.get(url)
            except httpx.HTTPError as error:
                self.errors[self.phase, f"download: {type(error).__name__}"] += 1
            else:
                if answer.status_code == 200:
                    wish.sha256 = hashlib.sha256(answer.content).hexdigest()
                    return
                self.errors[self.phase, f"download: {answer.status_code}"] += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        self._note_error(wish, "file not there")

    async def _tried(self, wish: Wish | None, call: Awaitable[T]) -> T | None:
        """What a call gives; None where the official client gave up. Of an order that is the end of the wish."""
        self.calls[self.phase] += 1
        try:
            return await call
        except getimg.APIError as error:
            kind = f"{error.status_code}" if isinstance(error, getimg.APIStatusError) else type(error).__name__
            if wish is None:
                self.errors[self.phase, f"poll: {kind}"] += 1
            else:
                self._note_error(wish, kind)
            await asyncio.sleep(_PAUSE_SECONDS)
            return None

    def _wish(self, type_: str) -> Wish:
        wish = Wish(type=type_, prompt=f"a slope {secrets.token_hex(6)}", phase=self.phase, asked_at=time.monotonic())
        self.wishes.append(wish)
        return wish

    def _note_error(self, wish: Wish, kind: str) -> None:
        wish.error = kind
        self.errors[wish.phase, f"{wish.type}: {kind}"] += 1

    async def _note_request(self, request: httpx.Request) -> None:
        if request.headers.get("x-stainless-retry-count", "0") != "0":
            answer = self._why.pop(_call_of(request), "no answer")
            self.repeats[self.phase, answer] += 1

    async def _note_response(self, response: httpx.Response) -> None:
        if response.status_code >= httpx.codes.BAD_REQUEST:
            self._why[_call_of(response.request)] = str(response.status_code)


def _call_of(request: httpx.Request) -> str:
    """What a repeat has in common with what it repeats, and with nothing else."""
    return f"{request.method} {request.url} {hashlib.sha256(request.content).hexdigest()}"


class Webhooks:
    """An endpoint that takes every event. ``told``: each ``webhook-id``, with the generations and types it told of."""

    def __init__(self) -> None:
        self.told: dict[str, set[tuple[str, str]]] = {}
        self.deliveries = 0
        self.url = ""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            yield
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        event = msgspec.json.decode(await request.read())
        self.deliveries += 1
        self.told.setdefault(request.headers["webhook-id"], set()).add((event["data"].get("id", ""), event["type"]))
        return web.Response(status=204)
