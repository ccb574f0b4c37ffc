"""The model server as it is, over pipelines that are none: ``StandIn`` is told what comes of an order.

``serve`` gives it a port, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web
from starlette.types import ASGIApp, Message

from safelight.domain.generations import GenerationType
from safelight.domain.media import MIME_OF_FORMAT
from safelight.domain.pipeline_reader import read_pipelines
from safelight.domain.pipelines import Pipeline, Task
from safelight.model_server.app import make_app
from safelight.model_server.bodies import Refused
from safelight.model_server.work import (
    Event,
    Facts,
    Fault,
    Made,
    NotMade,
    PipelineState,
    Started,
    Step,
    Work,
    fault_of,
)
from tests.providers.openai.media import clip, picture

_CALL = ("prompt", "negative_prompt", "num_inference_steps", "guidance_scale")
FACTS = Facts(
    size_multiple=16,
    frame_multiple=4,
    makes_sound=False,
    weights_bytes=1_000,
    arguments={
        Task.TEXT_TO_IMAGE: _CALL,
        Task.IMAGE_TO_IMAGE: (*_CALL, "image", "strength"),
        Task.TEXT_TO_VIDEO: (*_CALL, "num_frames", "max_sequence_length"),
        Task.IMAGE_TO_VIDEO: (*_CALL, "num_frames", "image"),
    },
)
PIPELINES: list[dict[str, Any]] = [
    {
        "name": "fake-image",
        "source": "owner/fake-image",
        "tasks": ["text-to-image", "image-to-image"],
        "max_images": 2,
    },
    {
        "name": "fake-video",
        "source": "owner/fake-video",
        "tasks": ["text-to-video", "image-to-video"],
        "fps": 8,
        "allow": ["max_sequence_length"],
    },
]


class StandIn:
    """What is made is a picture of the seed, or a clip. ``works`` are the orders that it was given, oldest first."""

    def __init__(self, entries: Sequence[dict[str, Any]] = PIPELINES) -> None:
        self._pipelines = read_pipelines(entries, source="test")
        self.works: list[Work] = []
        self.stopped: list[str] = []
        """Ids of those that were stopped before their end."""
        self.comes_to: list[NotMade | Exception] = []
        """What the next orders come to, in place of a file."""
        self.refuses: list[Fault] = []
        """What the next orders are refused with, before they are taken."""
        self.standing: dict[str, PipelineState] = {
            pipeline.name: PipelineState(state="ready", facts=FACTS) for pipeline in self._pipelines
        }
        self.is_held = False

    @property
    def pipelines(self) -> Sequence[Pipeline]:
        return self._pipelines

    async def states(self) -> dict[str, PipelineState]:
        if self.refuses:
            raise Refused(self.refuses.pop(0))
        return self.standing

    async def run(self, pipeline: str, work: Work) -> AsyncGenerator[Event]:
        self.works.append(work)
        entry = next(each for each in self._pipelines if each.name == pipeline)
        assert fault_of(work, entry, FACTS) is None
        is_done = False
        try:
            yield Started(node="here", pid=7)
            yield Step(1, 4)
            while self.is_held:
                await asyncio.sleep(0.02)
            if self.comes_to:
                end = self.comes_to.pop(0)
                is_done = True
                if isinstance(end, Exception):
                    raise end
                yield end
                return
            for done in (2, 3, 4):
                yield Step(done, 4)
            is_done = True
            yield made(work, entry)
        finally:
            if not is_done:
                self.stopped.append(work.id)


def made(work: Work, pipeline: Pipeline) -> Made:
    width, height = work.width or 64, work.height or 64
    if work.task.makes is GenerationType.VIDEO:
        seconds = int(work.seconds or 1)
        return Made(
            data=clip(width, height, seconds),
            mime_type="video/mp4",
            width=width,
            height=height,
            compute_seconds=1.5,
            duration_seconds=seconds,
        )
    kind = work.output_format
    data = picture(width, height, kind, work.seed % 251)
    return Made(data=data, mime_type=MIME_OF_FORMAT[kind], width=width, height=height, compute_seconds=0.25)


class ModelServer:
    """The server on a port. ``key``: what callers show. ``faults``: what the next POSTs get in place of an answer.

    ``drop`` takes the order and breaks the connection; a ``Fault`` is told before the order is taken.
    """

    def __init__(self, runner: StandIn | None = None, *, key: str | None = "sk-fake-0123456789") -> None:
        self.runner = runner or StandIn()
        self.key = key
        self.port = 0
        self.faults: list[str | Fault] = []
        self.app: ASGIApp = make_app(self.runner, key)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def environ(self) -> dict[str, str]:
        return {} if self.key is None else {"FAKE_KEY": self.key}

    def connection(self, **more: Any) -> dict[str, Any]:
        entry = {"name": "fake", "kind": "openai", "base_url": self.base_url, "flavor": "model-server", **more}
        return entry if self.key is None else {**entry, "key": "env:FAKE_KEY"}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.pop(0) if request.method == "POST" and self.faults else None
        if isinstance(fault, Fault):
            self.runner.refuses.append(fault)
        reply = await _through(self.app, request)
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
        return reply


@contextmanager
def serve(server: ModelServer) -> Iterator[ModelServer]:
    """The server on a free port of loopback, until the end of the ``with``."""
    loop, started = asyncio.new_event_loop(), threading.Event()

    async def live() -> None:
        application = web.Application(client_max_size=256 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(application, shutdown_timeout=1)
        orders: asyncio.Queue[Message] = asyncio.Queue()
        answers: asyncio.Queue[Message] = asyncio.Queue()
        life = asyncio.create_task(server.app({"type": "lifespan", "state": {}}, orders.get, answers.put))
        await orders.put({"type": "lifespan.startup"})
        await answers.get()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.port = runner.addresses[0][1]
        stop = asyncio.Event()
        server.stop = lambda: loop.call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
        started.set()
        await stop.wait()
        await runner.cleanup()
        await orders.put({"type": "lifespan.shutdown"})
        await life

    thread = threading.Thread(target=loop.run_until_complete, args=[live()], name="model server", daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield server
    finally:
        server.stop()  # type: ignore[attr-defined]
        thread.join(30)
        loop.close()


async def _through(app: ASGIApp, request: web.Request) -> web.Response:
    """The application's answer to a request of aiohttp."""
    body = await request.read()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.raw_path.encode(),
        "query_string": request.query_string.encode(),
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    sent: list[Message] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    kept = [(name, value) for name, value in headers if name != "content-length"]
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return web.Response(status=sent[0]["status"], headers=kept, body=content)


def fault(code: str, **more: Any) -> Fault:
    return msgspec.structs.replace(Fault(code=code, message=f"{code} it is"), **more)
