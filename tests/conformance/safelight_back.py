"""A real Safelight that the suite can command: its API on a port, a worker, and a backend of its own behind it.

What lies between it and whoever asks is a wire that can be cut, or that answers in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from granian.constants import Interfaces
from granian.server.embed import Server

from safelight.api.app import make_app
from safelight.api.auth import ApiState
from safelight.api.getimg.routes import DIALECT
from safelight.domain.connections import NoOptions
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import (
    Accepted,
    Answer,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    Handle,
    InlineBytes,
    Pending,
    PollOutcome,
    SubmitOutcome,
)
from safelight.domain.ports import Backend, Job
from safelight.domain.request import Order
from safelight.domain.scope import Principal
from safelight.lifecycle.runner import Runner
from safelight.providers.noop import mp4, png
from tests.conformance.vendor import CANARY, Seen
from tests.lifecycle.studio import open_studio
from tests.providers.hosted import WORDS
from tests.support.server import free_port

_MODEL = """
[[models]]
id = "{id}"
name = "{id}"
type = "{type}"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1", "16:9"]
resolutions = ["1K", "2K"]
sizes = {{ "1K" = {{ "1:1" = "64x64", "16:9" = "64x64" }}, "2K" = {{ "1:1" = "64x64", "16:9" = "64x64" }} }}
rates = [{{ unit_price = "0.02" }}]
supports_seed = true
supports_negative_prompt = true
bindings = [{{ connection = "noop", provider_options = ["steps"] }}]
{more}
"""
_CATALOG = _MODEL.format(id="picture", type="image", more="references = { reference_image = 2 }") + _MODEL.format(
    id="clip", type="video", more="durations = [2]\nreferences = { first_frame = 1 }"
)


class _Behind:
    """What makes the media at the back."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.taken = 0
        self.refuses_next = self.is_held = False
        self._orders: dict[str, Order] = {}

    async def submit(self, order: Order, job: Job[Any]) -> SubmitOutcome:
        spec = order.spec
        self.seen.append(
            Seen(
                prompt=spec.prompt,
                size=f"{spec.resolution} {spec.aspect_ratio}",
                seed=spec.seed,
                negative_prompt=spec.negative_prompt,
                options=spec.provider_options,
                references=len(order.references),
            )
        )
        if self.refuses_next:
            self.refuses_next = False
            return Failed(FailureClass.CONTENT_POLICY)
        self.taken += 1
        self._orders[job.id] = order
        return Accepted({"job": job.id})

    async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome:
        if self.is_held:
            return Pending(poll_after_seconds=0.2)
        order = self._orders[handle["job"]]
        data = png() if order.type is GenerationType.IMAGE else mp4(2)
        return Completed((InlineBytes(data),), Answer(seed=order.spec.seed))

    async def cancel(self, handle: Handle, job: Job[Any]) -> Cancellation:
        return Cancellation.FREE

    async def close(self) -> None: ...

    def open(self, connection: str) -> Backend:
        return Backend(connection=connection, provider=self, options=NoOptions)


class _OneKey:
    """Knows the suite's key, which is none of those that a Safelight makes."""

    def __init__(self, sender: Principal) -> None:
        self._sender = sender

    async def authenticate(self, header: str | None, *, is_suspect: bool = False) -> Principal:
        assert header == f"Bearer {CANARY}"
        return self._sender


class SafelightBack:
    """``next``: what becomes of the next order on the wire, a word of the stand-in's, or ``lost``."""

    def __init__(self) -> None:
        self.behind = _Behind()
        self.next: str | None = None
        self.port, self._inner_port = free_port(), free_port()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self, folder: Path, database_url: str) -> None:
        self._stack = contextlib.AsyncExitStack()
        catalog = folder / "back.toml"
        catalog.write_text(_CATALOG)
        settings = {"SAFELIGHT_CATALOG": str(catalog), "SAFELIGHT_PUBLIC_URL": self.base_url}
        self._studio = await self._stack.enter_async_context(open_studio(database_url, folder, **settings))
        parts = self._studio.parts
        msgspec.structs.force_setattr(parts.running, "backends", self.behind)
        self._runner = Runner(parts.running)
        self._stack.push_async_callback(self._runner.close, 0)
        sender = await self._studio.workspace("1000")

        @contextlib.asynccontextmanager
        async def open_state() -> AsyncIterator[ApiState]:
            yield ApiState(
                submitting=parts.submitting,
                running=parts.running,
                viewing=parts.viewing,
                keeping=parts.keeping,
                runner=self._runner,
                authenticator=_OneKey(sender),  # type: ignore[arg-type]
            )

        app = make_app(open_state, (DIALECT,), most_open=1000, most_refusals=1000)
        server = Server(app, port=self._inner_port, interface=Interfaces.ASGI, log_enabled=False)
        tasks = [asyncio.create_task(server.serve()), asyncio.create_task(self._work())]
        self._stack.push_async_callback(_ended, server, tasks)
        wire = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self._stack.callback(wire.close)
        async with httpx.AsyncClient() as client, asyncio.timeout(60):
            while not await _is_there(client, self.base_url):
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        await self._stack.aclose()

    async def newest_state(self) -> str:
        """How the newest order stands."""
        rows = await self._studio.rows("select state::text from generations order by id desc limit 1")
        return str(rows[0][0])

    async def _work(self) -> None:
        """As a worker: takes the videos that wait."""
        while True:
            for (id_,) in await self._studio.rows("select id from generations where state = 'queued'"):
                await self._runner.claim_and_run(id_)
            await asyncio.sleep(0.05)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to the back and from it."""
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner_port)
        ways = (self._to(reader, inner_writer, writer), self._from(inner_reader, writer))
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        inner_writer.close()

    async def _to(self, reader: asyncio.StreamReader, inner: asyncio.StreamWriter, outer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if data.startswith(b"POST") and self.next in WORDS:
                status, text, headers = WORDS[self.next]
                self.next = None
                body = text.replace("{key}", CANARY).encode()
                lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                outer.write("\r\n".join([*lines, "", ""]).encode() + body)
                await outer.drain()
                return
            inner.write(data)
            await inner.drain()

    async def _from(self, inner: asyncio.StreamReader, outer: asyncio.StreamWriter) -> None:
        while data := await inner.read(65536):
            if self.next == "lost":
                self.next = None
                return
            outer.write(data)
            await outer.drain()


async def _ended(server: Server, tasks: list[asyncio.Task[None]]) -> None:
    server.stop()
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _is_there(client: httpx.AsyncClient, base_url: str) -> bool:
    try:
        return (await client.get(f"{base_url}/healthz")).status_code == 200
    except httpx.HTTPError:
        return False
