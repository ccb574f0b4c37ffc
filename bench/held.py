"""A backend that holds jobs until it is told to end them, in a process of its own: ``python -m bench.held PORT``.

It speaks two shapes: OpenAI's videos, which are asked about one by one, and ModelArk's tasks, which can be asked about
many at once and call back. It notes when each job ended, and when it first told that to whoever asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from bench.servers import BenchError, free_port
from safelight.providers.noop import mp4

_READY_SECONDS = 20.0
CLIP_SECONDS = 2


class Told(msgspec.Struct, frozen=True):
    """What the backend knows. ``waits``: how long each end was not asked for. ``questions``: by second.

    ``unheard``: callbacks that were not answered with 204.
    """

    jobs: int
    ended: int
    waits: list[float]
    questions: dict[int, int]
    unheard: int


class Held:
    """The backend, running."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"

    def told(self) -> Told:
        with urlopen(f"{self.origin}/told", timeout=10) as answer:
            return msgspec.json.decode(answer.read(), type=Told)

    def end_all(self, seconds: float) -> None:
        """End every job at some moment within so many seconds, and count from now on."""
        body = json.dumps({"seconds": seconds}).encode()
        with urlopen(Request(f"{self.origin}/end", data=body), timeout=10):
            pass

    def forget(self) -> None:
        with urlopen(Request(f"{self.origin}/forget", data=b""), timeout=10):
            pass


@contextlib.contextmanager
def held() -> Iterator[Held]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.held", str(port)], stdin=subprocess.DEVNULL)
    backend, give_up_at = Held(port), time.monotonic() + _READY_SECONDS
    try:
        while True:
            try:
                backend.told()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > give_up_at:
                    raise BenchError("The backend that holds jobs did not start.") from None
                time.sleep(0.05)
        yield backend
    finally:
        process.terminate()
        process.wait(_READY_SECONDS)


class _Job(msgspec.Struct):
    id: str
    model: str
    callback_url: str | None
    ends_at: float | None = None
    told_at: float | None = None


class _Backend:
    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._questions: Counter[int] = Counter()
        self._unheard = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._clip = mp4(CLIP_SECONDS)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/videos", self._video)
        app.router.add_get("/v1/videos/{id}", self._video_state)
        app.router.add_get("/v1/videos/{id}/content", self._file)
        app.router.add_post("/api/v3/contents/generations/tasks", self._task)
        app.router.add_get("/api/v3/contents/generations/tasks", self._tasks)
        app.router.add_get("/api/v3/contents/generations/tasks/{id}", self._task_state)
        app.router.add_get("/files/{id}.mp4", self._file)
        app.router.add_get("/told", self._told)
        app.router.add_post("/end", self._end)
        app.router.add_post("/forget", self._forget)
        app.cleanup_ctx.append(self._session)
        return app

    async def _session(self, _: web.Application) -> Any:
        self._http = aiohttp.ClientSession()
        yield
        await self._http.close()

    def _take(self, model: str, callback_url: str | None = None) -> _Job:
        job = _Job(f"job-{len(self._jobs)}-{random.getrandbits(32):x}", model, callback_url)
        self._jobs[job.id] = job
        return job

    def _is_done(self, job: _Job) -> bool:
        """Whether it has ended; that it was asked about is noted."""
        now = time.time()
        if job.ends_at is None or now < job.ends_at:
            return False
        job.told_at = job.told_at or now
        return True

    def _asked(self) -> None:
        self._questions[int(time.time())] += 1

    async def _video(self, request: web.Request) -> web.Response:
        form = await request.post()
        return web.json_response({"id": self._take(str(form["model"])).id, "object": "video", "status": "queued"})

    async def _video_state(self, request: web.Request) -> web.Response:
        self._asked()
        job = self._jobs[request.match_info["id"]]
        status = "completed" if self._is_done(job) else "in_progress"
        return web.json_response({"id": job.id, "object": "video", "status": status, "progress": 50})

    async def _task(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"id": self._take(body["model"], body.get("callback_url")).id})

    async def _task_state(self, request: web.Request) -> web.Response:
        self._asked()
        return web.json_response(self._as_task(self._jobs[request.match_info["id"]], request))

    async def _tasks(self, request: web.Request) -> web.Response:
        self._asked()
        found = [self._jobs[id_] for id_ in request.query.getall("filter.task_ids", []) if id_ in self._jobs]
        items = [self._as_task(job, request) for job in found[: int(request.query.get("page_size", 10))]]
        return web.json_response({"total": len(found), "items": items})

    def _as_task(self, job: _Job, request: web.Request) -> dict[str, Any]:
        facts: dict[str, Any] = {"id": job.id, "model": job.model, "status": "running", "error": None, "content": None}
        if self._is_done(job):
            url = f"{request.url.origin()}/files/{job.id}.mp4"
            facts |= {"status": "succeeded", "content": {"video_url": url}, "usage": {"completion_tokens": 100}}
        return facts

    async def _file(self, _: web.Request) -> web.Response:
        return web.Response(body=self._clip, content_type="video/mp4")

    async def _told(self, _: web.Request) -> web.Response:
        jobs = self._jobs.values()
        waits = [job.told_at - job.ends_at for job in jobs if job.told_at is not None and job.ends_at is not None]
        ended = sum(job.ends_at is not None for job in jobs)
        told = Told(len(self._jobs), ended, waits, dict(self._questions), self._unheard)
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    async def _end(self, request: web.Request) -> web.Response:
        seconds, now = (await request.json())["seconds"], time.time()
        self._questions.clear()
        for job in self._jobs.values():
            if job.ends_at is None:
                job.ends_at = now + random.uniform(0, seconds)
                if job.callback_url is not None:
                    task = asyncio.create_task(self._call_back(job, job.ends_at - now, job.callback_url))
                    self._calls.add(task)
                    task.add_done_callback(self._calls.discard)
        return web.Response()

    async def _call_back(self, job: _Job, seconds: float, url: str) -> None:
        await asyncio.sleep(seconds)
        news = {"id": job.id, "model": job.model, "status": "succeeded"}
        try:
            async with self._http.post(url, json=news) as answer:
                self._unheard += answer.status != 204
        except aiohttp.ClientError:
            self._unheard += 1

    async def _forget(self, _: web.Request) -> web.Response:
        self._jobs.clear()
        self._questions.clear()
        return web.Response()


async def _serve(port: int) -> None:
    runner = web.AppRunner(_Backend().app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(int(sys.argv[1])))
