"""The HTTP API: OpenAI's Images and Videos shapes, and what they lack. Pictures may be jobs, as clips are.

``Prefer: respond-async`` (RFC 7240) makes a job of an order for a picture: 202, with a document as a video's.
``Idempotency-Key`` is the id of what is ordered with it: the same order once more finds the same job.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from safelight import __version__
from safelight.domain.generations import GenerationType
from safelight.domain.pipelines import Pipeline
from safelight.model_server.bodies import MAX_BODY_BYTES, Ordered, Refused, read_order
from safelight.model_server.desk import KEEP_SECONDS, Desk, Job
from safelight.model_server.work import Fault, PipelineState, Runner, fault_of, server_fault

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_QUICK_SECONDS = 10.0
_UNAVAILABLE_SECONDS = 30

_Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(runner: Runner, key: str | None, *, keep_seconds: float = KEEP_SECONDS) -> Starlette:
    """The application; ``key`` is the one that callers show as a bearer, None: whoever reaches it may order."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="safelight-models-") as folder:
            server.desk = Desk(runner, Path(folder), keep_seconds)
            yield
            await server.desk.close()

    server = _Server(runner, key)
    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/health", server.health, methods=["GET"]),
            Route("/v1/models", server.guarded(server.models), methods=["GET"]),
            Route("/v1/images/generations", server.guarded(server.generation), methods=["POST"]),
            Route("/v1/images/edits", server.guarded(server.edit), methods=["POST"]),
            Route("/v1/videos", server.guarded(server.video), methods=["POST"]),
            *(
                Route(f"/v1/{makes}s/{{id}}{end}", server.guarded(server.of_job(makes, answer)), methods=[method])
                for makes in GenerationType
                for method, end, answer in (
                    ("GET", "", server.tell),
                    ("GET", "/content", server.content),
                    ("DELETE", "", server.delete),
                )
            ),
        ],
        exception_handlers={HTTPException: _not_here, Exception: _broke},
    )


class _Server:
    """What the routes answer."""

    desk: Desk

    def __init__(self, runner: Runner, key: str | None) -> None:
        self._runner = runner
        self._key = key

    def guarded(self, endpoint: _Endpoint) -> _Endpoint:
        """The endpoint for those who have the key; what it refuses is told."""

        async def answer(request: Request) -> Response:
            try:
                self._check_key(request)
                return await endpoint(request)
            except Refused as refusal:
                return _refusal(refusal.fault)

        return answer

    def of_job(self, makes: GenerationType, answer: Callable[[Job], Response]) -> _Endpoint:
        """An endpoint for one job, by its id."""

        async def found(request: Request) -> Response:
            job = self.desk.find(request.path_params["id"], makes)
            if job is None:
                raise Refused(Fault(code="not_found", message="there is no such job, or no more", status=404))
            return answer(job)

        return found

    async def health(self, request: Request) -> Response:
        """How each pipeline stands. 503 where none can serve. What is wrong is told to those who have the key."""
        states = await self._runner.states()
        found = {state.state for state in states.values()}
        word = next(
            (w for w, s in (("degraded", "failed"), ("starting", "starting"), ("ok", "ready")) if s in found), "ok"
        )
        document: dict[str, Any] = {"status": word, "version": __version__}
        if self._has_key(request):
            document["models"] = {
                name: {"status": state.state, **({"message": state.trouble} if state.trouble else {})}
                for name, state in states.items()
            }
        return _json(document, 200 if "ready" in found else 503)

    async def models(self, request: Request) -> Response:
        states = await self._runner.states()
        entries = [self._entry(pipeline, states[pipeline.name]) for pipeline in self._runner.pipelines]
        return _json({"object": "list", "data": entries})

    async def generation(self, request: Request) -> Response:
        return await self._picture(request, needs_image=False)

    async def edit(self, request: Request) -> Response:
        return await self._picture(request, needs_image=True)

    async def video(self, request: Request) -> Response:
        pipeline, ordered = await self._ordered(request, VIDEO, needs_image=False)
        job, is_new = self.desk.take(pipeline, ordered, _key_of(request))
        return _of(job, headers={} if is_new else {"Idempotency-Replayed": "true"})

    def tell(self, job: Job) -> Response:
        return _of(job)

    def content(self, job: Job) -> Response:
        if job.file is None or job.made is None:
            text = f"there is no file: the job is {job.status}"
            raise Refused(Fault(code="not_ready", message=text, status=404 if job.ended.is_set() else 409))
        return FileResponse(job.file, media_type=job.made.mime_type)

    def delete(self, job: Job) -> Response:
        """Stop it, between steps; of one that ended, the file is gone. One that was stopped is still known as such."""
        if not job.ended.is_set():
            self.desk.cancel(job)
        elif job.status != "cancelled":
            self.desk.forget(job)
        return _json({"id": job.id, "object": f"{job.makes}.deleted", "deleted": True, "status": job.status})

    async def _picture(self, request: Request, *, needs_image: bool) -> Response:
        pipeline, ordered = await self._ordered(request, IMAGE, needs_image=needs_image)
        key = _key_of(request)
        job, is_new = self.desk.take(pipeline, ordered, key)
        replayed = {} if is_new else {"Idempotency-Replayed": "true"}
        if _prefers_async(request):
            headers = {"Preference-Applied": "respond-async", "Location": f"/v1/images/{job.id}"}
            return _of(job, 202, headers | replayed)
        try:
            await job.ended.wait()
        except asyncio.CancelledError:  # whoever asked is gone
            if key is None:
                self.desk.cancel(job)
            raise
        if job.made is None or job.file is None:
            raise Refused(job.fault or Fault(code="cancelled", message="the order was stopped", status=409))
        try:
            data = await asyncio.to_thread(_base64_of, job.file)
        except FileNotFoundError:
            raise Refused(Fault(code="not_found", message="its file is gone by now", status=404)) from None
        document = {"created": int(job.created_at), "data": [{"b64_json": data}], **_made(job)}
        return _json(document, headers=replayed)

    async def _ordered(self, request: Request, makes: GenerationType, *, needs_image: bool) -> tuple[Pipeline, Ordered]:
        """The pipeline that an order is for, and the order. Raises ``Refused`` where it cannot be made."""
        body = await _body(request)
        content_type = request.headers.get("content-type", "")
        ordered = await asyncio.to_thread(read_order, body, content_type, makes, needs_image=needs_image)
        pipelines = {pipeline.name: pipeline for pipeline in self._runner.pipelines}
        pipeline = pipelines.get(ordered.model)
        if pipeline is None:
            text = f"there is no model {ordered.model[:100]!r}; GET /v1/models lists them"
            raise Refused(Fault(code="model_not_found", message=text, param="model", status=404))
        state = (await self._runner.states())[pipeline.name]
        if (fault := fault_of(ordered.work, pipeline, state.facts)) is not None:
            raise Refused(fault)
        if state.state == "failed":
            fault = server_fault("model_unavailable", state.trouble or f"{pipeline.name} does not run", 503)
            raise Refused(msgspec.structs.replace(fault, retry_after_seconds=_UNAVAILABLE_SECONDS))
        return pipeline, ordered

    def _entry(self, pipeline: Pipeline, state: PipelineState) -> dict[str, Any]:
        waiting, running = self.desk.counts(pipeline.name)
        facts = state.facts
        known = {
            "message": state.trouble,
            "fps": pipeline.fps,
            "size_multiple": pipeline.size_multiple if facts is None else facts.size_multiple,
            "frame_multiple": None if facts is None else facts.frame_multiple,
            "makes_sound": None if facts is None else facts.makes_sound,
            "arguments": None if facts is None else {task.value: names for task, names in facts.arguments.items()},
        }
        return {
            "id": pipeline.name,
            "object": "model",
            "created": 0,
            "owned_by": "safelight",
            "tasks": [task.value for task in pipeline.tasks],
            "status": state.state,
            "max_images": pipeline.max_images,
            "options": list(pipeline.allow),
            "queued": waiting,
            "running": running,
            **{name: value for name, value in known.items() if value is not None},
        }

    def _has_key(self, request: Request) -> bool:
        if self._key is None:
            return True
        shown = request.headers.get("authorization", "").encode("latin-1")
        return hmac.compare_digest(shown, f"Bearer {self._key}".encode())

    def _check_key(self, request: Request) -> None:
        if self._key is None and request.method != "GET" and "origin" in request.headers:
            text = "a page in a browser may order where there is a key alone; give the server a --key"
            raise Refused(Fault(code="origin_refused", message=text, status=403))
        if not self._has_key(request):
            text = "the key is missing or is not this server's"
            raise Refused(Fault(code="invalid_api_key", message=text, type="authentication_error", status=401))


async def _body(request: Request) -> bytes:
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise Refused(Fault(code="too_large", message=f"a body has {MAX_BODY_BYTES} bytes at most", status=413))
        pieces.append(piece)
    return b"".join(pieces)


def _of(job: Job, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Where a job stands, in the shape of OpenAI's videos."""
    document: dict[str, Any] = {
        "id": job.id,
        "object": job.makes.value,
        "model": job.pipeline.name,
        "status": job.status,
        "progress": int(job.progress * 100),
        "created_at": int(job.created_at),
        "seed": job.work.seed,
        "error": None,
        **_made(job),
    }
    if job.fault is not None:
        document["error"] = _error(job.fault)
    if job.step is not None:
        document["steps"] = {"done": job.step.done, "total": job.step.total}
    if job.started is not None:
        document["replica"] = {"node": job.started.node, "pid": job.started.pid}
    if job.ended_at is not None:
        document["completed_at"] = int(job.ended_at)
    else:
        is_new = time.time() - job.created_at < _QUICK_SECONDS
        headers = {"openai-poll-after-ms": "250" if is_new else "2000", **(headers or {})}
    return _json(document, status, headers)


def _made(job: Job) -> dict[str, Any]:
    """What is known of the file, beside the file."""
    made, work = job.made, job.work
    if made is None:
        size = None if work.width is None else f"{work.width}x{work.height}"
        return {"size": size, "seconds": None if work.seconds is None else f"{work.seconds:g}"}
    return {
        "model": job.pipeline.name,
        "seed": work.seed,
        "size": f"{made.width}x{made.height}",
        "seconds": None if made.duration_seconds is None else f"{made.duration_seconds:g}",
        "output_format": made.mime_type.rpartition("/")[2],
        "inference_time_s": round(made.compute_seconds, 4),
    }


def _error(fault: Fault) -> dict[str, Any]:
    return {"message": fault.message, "type": fault.type, "param": fault.param, "code": fault.code}


def _refusal(fault: Fault) -> Response:
    headers = {} if fault.retry_after_seconds is None else {"Retry-After": str(fault.retry_after_seconds)}
    if fault.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _json({"error": _error(fault)}, fault.status, headers)


def _json(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")


def _key_of(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and _KEY.fullmatch(key) is None:
        text = "an Idempotency-Key has up to 64 letters, digits, '-' and '_'"
        raise Refused(Fault(code="invalid_value", message=text, param="Idempotency-Key"))
    return key


def _prefers_async(request: Request) -> bool:
    told = ",".join(request.headers.getlist("prefer")).lower()
    return "respond-async" in (each.partition(";")[0].strip() for each in told.split(","))


def _base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _refusal(
        Fault(
            code="not_found", message=f"{request.method} {request.url.path}: {error.detail}", status=error.status_code
        )
    )


async def _broke(request: Request, error: Exception) -> Response:
    return _refusal(server_fault("server_error", f"the server broke: {type(error).__name__}"))
