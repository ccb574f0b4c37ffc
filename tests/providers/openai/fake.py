"""A server of OpenAI's shape, in each flavor's dialect, that misbehaves when it is told to.

It runs in a thread of its own, so whoever uses it may block. What it takes is as strict as the flavor's own server is
known to be: an unknown parameter is refused where it would be, and ignored where it would be.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

from tests.providers.openai.faults import ANSWERS, FAULTS, words_of
from tests.providers.openai.media import clip, picture
from tests.support.hosting import hosted

SIZE = re.compile(r"(\d+)x(\d+)")
TAG = re.compile(r"<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>")
_OPENAI_IMAGE = {"prompt", "model", "n", "size", "quality", "background", "output_format", "output_compression"} | {
    "moderation", "stream", "partial_images", "safety_identifier", "user", "image", "image[]", "mask", "input_fidelity"
}  # fmt: skip
_OPENAI_VIDEO = {"prompt", "model", "seconds", "size", "input_reference"}


class Upload(msgspec.Struct):
    field: str
    name: str
    mime_type: str
    data: bytes


class Call(msgspec.Struct):
    """A request as it came: ``body`` is its JSON, or the text fields of its form; ``files`` are those of a form."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any] = {}
    files: list[Upload] = []
    is_form: bool = False


class Refusal(Exception):
    """An answer other than success."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body


class FakeServer:
    """``calls`` are the requests, newest last; ``jobs`` by id. ``behave`` says what the next ones of a kind get."""

    def __init__(self, flavor: str = "openai", *, key: str | None = "sk-fake-0123456789", canary: str = "") -> None:
        self.flavor, self.key, self.canary = flavor, key, canary
        self.calls: list[Call] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.models = ["fake-image", "fake-video"]
        self.headers: dict[str, str] = {}
        self.states: list[dict[str, Any]] = [{"status": "queued"}, {"status": "in_progress", "progress": 50}]
        self._faults: list[str] = []
        self._numbers = itertools.count(1)
        self.port = 0

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.root_url}/api/v1" if self.flavor == "openrouter" else f"{self.root_url}/v1"

    @property
    def environ(self) -> dict[str, str]:
        """What the connection's key refers to."""
        return {} if self.key is None else {"FAKE_KEY": self.key}

    def connection(self, name: str = "fake", **more: Any) -> dict[str, Any]:
        """An entry of ``[[connections]]`` that leads here."""
        entry = {"name": name, "kind": "openai", "base_url": self.base_url, "flavor": self.flavor, **more}
        return entry if self.key is None else {**entry, "key": "env:FAKE_KEY"}

    def behave(self, *faults: str) -> None:
        """The next requests that are not about a job's state get these, one each; then all is well again."""
        self._faults = list(faults)

    def posts(self) -> list[Call]:
        return [call for call in self.calls if call.method == "POST"]

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        for root in ("/v1", "/api/v1"):
            app.router.add_post(f"{root}/images/generations", self._images)
            app.router.add_post(f"{root}/images/edits", self._images)
            app.router.add_post(f"{root}/chat/completions", self._chat)
            app.router.add_post(f"{root}/videos", self._video)
            app.router.add_post(f"{root}/videos/generations", self._video)
            app.router.add_get(f"{root}/models", self._models)
            app.router.add_get(f"{root}/videos/models", self._models)
            app.router.add_get(f"{root}/key", self._models)
            app.router.add_get(f"{root}/videos/{{id}}", self._job)
            app.router.add_delete(f"{root}/videos/{{id}}", self._delete)
            app.router.add_get(f"{root}/videos/{{id}}/content", self._content)
        app.router.add_post("/video", self._video)
        app.router.add_get("/files/{name}", self._file)
        return app

    async def _images(self, request: web.Request) -> web.StreamResponse:
        call = await self._received(request)
        if (answer := await self._misbehaved(request)) is not None:
            return answer
        try:
            width, height, kind, seed = self._read_image(call)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        data = base64.b64encode(picture(width, height, kind, seed)).decode()
        item: dict[str, Any] = {"b64_json": data}
        if self.flavor == "sglang":
            item["revised_prompt"] = call.body["prompt"]
        usage = {"input_tokens": 12, "output_tokens": 4160, "total_tokens": 4172, "note": self.canary}
        if self.flavor == "localai":
            usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        if self.flavor == "xai":
            usage = {"cost_in_usd_ticks": 200_000_000}
        answer = {"created": 1795956585, "data": [item], "usage": usage, "output_format": kind}
        if self.flavor == "sd-server":
            answer = {"created": 1795956585, "data": [item], "output_format": kind}
        return web.json_response(answer, headers={"x-request-id": "req_fake", **self.headers})

    def _read_image(self, call: Call) -> tuple[int, int, str, int]:
        """Width, height, format and seed of an order, in the flavor's dialect. Raises ``Refusal``."""
        body, is_edit = call.body, call.path.endswith("/edits")
        if not body.get("prompt"):
            raise Refusal(400, {"error": "prompt required"})
        kind, seed = body.get("output_format", "png"), body.get("seed", 0)
        if self.flavor == "openai":
            self._known(body, call, _OPENAI_IMAGE)
        if is_edit and self.flavor == "localai":
            raise Refusal(404, {"error": {"message": "not found", "code": 404, "type": ""}})
        if is_edit and self.flavor != "xai" and not any(part.field in ("image", "image[]") for part in call.files):
            raise Refusal(400, {"detail": "image is required"})
        if is_edit and self.flavor == "xai" and (call.is_form or not (body.get("image") or body.get("images"))):
            raise Refusal(400, {"code": "invalid argument", "error": "an image is required, as JSON"})
        if self.flavor == "vllm-omni" and body.get("response_format", "b64_json") == "url":
            raise Refusal(400, {"detail": "response_format url is not supported"})
        if self.flavor == "sd-server":
            return self._read_sd(call, kind, is_edit=is_edit)
        if self.flavor == "xai":
            if (
                "size" in body
                or not isinstance(body.get("aspect_ratio"), str)
                or body["resolution"] not in ("1k", "2k", "4k")
            ):
                raise Refusal(422, {"code": "invalid argument", "error": "size is not supported"})
            across, down = map(int, body["aspect_ratio"].split(":"))
            return 64 * across, 64 * down, "jpeg", 0
        size = SIZE.fullmatch(str(body.get("size", "")))
        if size is None:
            return 512, 512, kind, int(seed)
        return int(size[1]), int(size[2]), kind, int(seed)

    def _read_sd(self, call: Call, kind: str, *, is_edit: bool) -> tuple[int, int, str, int]:
        if any(value is None for value in call.body.values()):
            raise Refusal(500, {"error": "server_error", "message": "[json.exception.type_error.302] is null"})
        if kind not in (("png", "jpeg") if is_edit else ("png", "jpeg", "webp")):
            raise Refusal(400, {"error": "invalid output_format, must be one of [png, jpeg]"})
        tag = TAG.search(call.body["prompt"])
        extra = msgspec.json.decode(tag[1]) if tag else {}
        size = SIZE.fullmatch(call.body.get("size", ""))
        width, height = (int(size[1]), int(size[2])) if size else (512, 512)
        width, height = extra.get("width", width), extra.get("height", height)
        return -(-width // 8) * 8, -(-height // 8) * 8, kind, extra.get("seed", 42)

    def _known(self, body: dict[str, Any], call: Call, known: set[str]) -> None:
        for name in [*body, *(part.field for part in call.files)]:
            if name not in known:
                error = {"message": f"Unknown parameter: '{name}'.", "type": "invalid_request_error", "param": name}
                raise Refusal(400, {"error": {**error, "code": "unknown_parameter"}})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        call = await self._received(request)
        if (answer := await self._misbehaved(request)) is not None:
            return answer
        shape = call.body.get("image_config", {}).get("aspect_ratio", "1:1")
        across, down = map(int, shape.split(":"))
        data = base64.b64encode(picture(64 * across, 64 * down)).decode()
        images = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}]
        message = {"role": "assistant", "content": "Here it is.", "images": images}
        usage = {"prompt_tokens": 9, "completion_tokens": 1290, "cost": 0.0387, "is_byok": False}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return web.json_response({"id": "gen-1", "choices": [choice], "usage": usage})

    async def _video(self, request: web.Request) -> web.StreamResponse:
        call = await self._received(request)
        if (answer := await self._misbehaved(request)) is not None:
            return answer
        try:
            width, height, seconds = self._read_video(call)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        if self.flavor == "localai":
            data = base64.b64encode(clip(width, height, seconds)).decode()
            return web.json_response({"created": 1, "data": [{"b64_json": data}], "usage": {"total_tokens": 0}})
        number = next(self._numbers)
        job = {
            "id": f"video_{number}", "object": "video", "created_at": 1795956585, "model": call.body.get("model"),
            "prompt": call.body["prompt"], "seconds": str(seconds), "size": f"{width}x{height}",
            "status": "queued", "progress": 0, "states": list(self.states), "shape": (width, height, seconds),
        }  # fmt: skip
        self.jobs[job["id"]] = job
        if self.flavor == "xai":
            return web.json_response({"request_id": job["id"]})
        if self.flavor == "openrouter":
            told = {"id": job["id"], "polling_url": f"/api/v1/videos/{job['id']}", "status": "pending"}
            return web.json_response(told, status=202)
        return web.json_response(self._shown(job))

    def _read_video(self, call: Call) -> tuple[int, int, int]:
        """Width, height and seconds of an order. Raises ``Refusal``."""
        body = call.body
        if self.flavor in ("xai", "openrouter"):
            if not isinstance(body.get("duration"), int) or "size" in body:
                raise Refusal(422, {"code": "invalid argument", "error": "duration is a number"})
            across, down = map(int, body["aspect_ratio"].split(":"))
            return 32 * across, 32 * down, body["duration"]
        if self.flavor == "localai":
            return body["width"], body["height"], body["num_frames"] // body["fps"]
        if self.flavor == "openai":
            self._known(body, call, _OPENAI_VIDEO)
        if self.flavor == "sglang" and not call.is_form and not isinstance(body.get("seconds"), int):
            raise Refusal(422, {"detail": [{"loc": ["body", "seconds"], "msg": "a number", "type": "int_type"}]})
        if self.flavor == "sglang" and call.is_form and not call.files:
            raise Refusal(400, {"detail": "input_reference file is required"})
        size = SIZE.fullmatch(body.get("size", "720x1280"))
        assert size is not None
        return int(size[1]), int(size[2]), int(body.get("seconds", 4))

    async def _job(self, request: web.Request) -> web.StreamResponse:
        await self._received(request)
        job = self.jobs.get(request.match_info["id"])
        if job is None or job.get("is_gone"):
            return web.json_response({"error": {"message": "no such video", "code": None}}, status=404)
        if job["states"]:
            job |= job["states"].pop(0)
        elif "error" not in job and job["status"] in ("queued", "in_progress", "pending"):
            job |= {"status": "done" if self.flavor == "xai" else "completed", "progress": 100}
        if "raw" in job:
            return (FAULTS | ANSWERS)[job.pop("raw")](self)
        return web.json_response(self._shown(job), headers=self.headers)

    def _shown(self, job: dict[str, Any]) -> dict[str, Any]:
        shown = {name: value for name, value in job.items() if name not in ("states", "shape", "raw", "is_gone")}
        if self.flavor == "xai":
            shown = {name: shown[name] for name in ("status", "model", "error", "video", "progress") if name in shown}
            if job["status"] == "done":
                video = {"url": f"{self.root_url}/files/{job['id']}.mp4", "duration": 1, "respect_moderation": True}
                shown = {"video": video, "usage": {"cost_in_usd_ticks": 500_000_000}, **shown}
        if self.flavor == "openrouter" and job["status"] == "completed":
            url = f"{self.base_url}/videos/{job['id']}/content?index=0"
            shown |= {"unsigned_urls": [url], "usage": {"cost": 0.5, "is_byok": False}}
        if self.flavor in ("vllm-omni", "sglang") and job["status"] == "completed":
            shown |= {"inference_time_s": 7.5, "file_path": "/srv/outputs/secret.mp4"}
        return shown

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        await self._received(request)
        job = self.jobs.get(request.match_info["id"])
        if job is None or job.get("is_gone"):
            return web.json_response({"error": {"message": "no such video", "code": None}}, status=404)
        if self.flavor == "openai" and job["status"] not in ("completed", "failed"):
            return web.json_response({"error": {"message": "it is not done", "code": None}}, status=409)
        job["is_gone"] = True
        return web.json_response({"id": job["id"], "deleted": True, "object": "video.deleted"})

    async def _content(self, request: web.Request) -> web.StreamResponse:
        await self._received(request)
        job = self.jobs[request.match_info["id"]]
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "no key"}}, status=401)
        return web.Response(body=clip(*job["shape"]), content_type="video/mp4")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        await self._received(request)
        name = request.match_info["name"]
        if name.endswith(".mp4"):
            return web.Response(body=clip(*self.jobs[name[:-4]]["shape"]), content_type="video/mp4")
        return web.Response(body=picture(64, 64), content_type="image/png")

    async def _models(self, request: web.Request) -> web.StreamResponse:
        await self._received(request)
        if (answer := await self._misbehaved(request)) is not None:
            return answer
        if request.path.endswith("/key"):
            return web.json_response({"data": {"label": "a key", "limit": None}})
        ids = ["sd-cpp-local"] if self.flavor == "sd-server" else self.models
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in ids]})

    async def _received(self, request: web.Request) -> Call:
        call = Call(
            request.method, request.path, dict(request.query), {k.lower(): v for k, v in request.headers.items()}
        )
        if request.content_type == "multipart/form-data":
            call.is_form = True
            for name, value in (await request.post()).items():
                if isinstance(value, web.FileField):
                    call.files.append(Upload(name, value.filename, value.content_type, value.file.read()))
                else:
                    call.body[name] = value
        elif request.can_read_body:
            call.body = await request.json()
        self.calls.append(call)
        return call

    async def _misbehaved(self, request: web.Request) -> web.StreamResponse | None:
        open_to_all = self.flavor in ("sd-server", "localai") or (
            self.flavor == "openrouter" and request.path.endswith("/models")
        )
        if self.key is not None and not open_to_all and request.headers.get("Authorization") != f"Bearer {self.key}":
            return FAULTS["auth"](self)
        if not self._faults:
            return None
        fault = self._faults.pop(0)
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        if fault in ANSWERS:
            return ANSWERS[fault](self)
        return FAULTS[fault](self) if fault in FAULTS else None

    def words(self) -> str:
        return words_of(self)


@contextmanager
def serve(fake: FakeServer) -> Iterator[FakeServer]:
    """The server on a free port of loopback, until the end of the ``with``."""
    with hosted(fake.app(), shutdown_seconds=1) as (fake.port,):
        yield fake
