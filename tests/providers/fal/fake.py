"""fal's queue as its own client and its documentation know it, and stricter: an input that a model does not know is
refused.

The prompt's first word says how it goes, or ``next``: ``DECLINES`` are answers to an order that took nothing, ``ENDS``
what comes of a job that was taken. It quotes the key wherever it can.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import time
from typing import Any

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.providers.openai.media import clip, picture

KEY = "fal-canary-7c2e:b90d-hosted"
IMAGES, VIDEOS = "fal-ai/fake/image", "fal-ai/fake-video/v2/pro/any-to-video"
INPUTS: dict[str, dict[str, Any]] = {
    IMAGES: {
        "prompt": {"type": "string"},
        "negative_prompt": {"type": "string"},
        "image_size": {"anyOf": [{"$ref": "#/components/schemas/ImageSize"}, {"enum": ["square", "square_hd"]}]},
        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "image_urls": {"type": "array", "items": {"type": "string"}},
        "output_format": {"enum": ["jpeg", "png"]},
        "num_images": {"type": "integer"},
        "num_inference_steps": {"type": "integer"},
        "sync_mode": {"type": "boolean"},
        "enable_safety_checker": {"type": "boolean"},
    },
    VIDEOS: {
        "prompt": {"type": "string"},
        "negative_prompt": {"type": "string"},
        "aspect_ratio": {"enum": ["16:9", "1:1"]},
        "resolution": {"enum": ["480p", "720p", "1K", "2K", "128x128"]},
        "duration": {"enum": ["2", "5"]},
        "image_url": {"type": "string"},
        "end_image_url": {"type": "string"},
        "seed": {"type": "integer"},
        "generate_audio": {"type": "boolean"},
        "num_inference_steps": {"type": "integer"},
    },
}


def _detail(type_: str, *loc: str, message: str = "No, {key}.") -> Any:
    error = {"loc": ["body", *loc], "msg": message, "type": type_, "url": f"https://docs.fal.ai/errors#{type_}"}
    return {"detail": [{**error, "input": "{key}"}]}


def _platform(type_: str, message: str = "Trouble, {key}.") -> Any:
    return {"detail": message, "error_type": type_}


_HTML = {"Content-Type": "text/html"}
DECLINES: dict[str, tuple[int, Any, dict[str, str]]] = {
    "refused": (422, _detail("content_policy_violation", "prompt"), {}),
    "refusedlist": (422, _detail("content_policy_violation", "prompt")["detail"], {}),
    "broke": (403, {"detail": "User is locked. Reason: Exhausted balance. Top up, {key}."}, {}),
    "locked": (403, {"detail": "User is locked. Reason: abuse."}, {}),
    "nokey": (401, {"detail": "Cannot access application, {key}."}, {}),
    "nomodel": (404, {"detail": "Application not found"}, {}),
    "often": (429, {"detail": "Too many, {key}."}, {"Retry-After": "7"}),
    "soon": (429, {"detail": "Too many, {key}."}, {"Retry-After": "1"}),
    "badprompt": (422, _detail("string_too_long", "prompt"), {}),
    "badimage": (422, _detail("file_download_error", "image_urls", "0"), {}),
    "badsize": (422, _detail("literal_error", "image_size"), {}),
    "lacking": (422, _detail("missing", "voice"), {}),
    "badheader": (400, _platform("bad_request"), {"X-Fal-Error-Type": "bad_request"}),
    "text": (400, "in words alone, {key}", {"Content-Type": "text/plain"}),
    "broken": (503, _platform("runner_scheduling_failure"), {"X-Fal-Error-Type": "runner_scheduling_failure"}),
    "gateway": (504, "<html>nginx {key}</html>", _HTML),
    "page": (200, "<html>{key}</html>", _HTML),
    "odd": (200, [], {}),
    "noid": (200, {"status_url": "http://elsewhere.example/", "key": "{key}"}, {}),
    "tooearly": (425, {"detail": "Too early"}, {}),
    "object": (422, {"detail": {"type": "content_policy_violation", "message": "No, {key}."}}, {}),
    "texts": (422, {"detail": ["No, {key}.", 7]}, {}),
    "conflict": (409, {"detail": "Conflict"}, {}),
    "movedon": (307, "", {"Location": "https://elsewhere.example/"}),
}

ENDS: dict[str, tuple[int, Any, dict[str, str]]] = {
    "policy": (422, _detail("content_policy_violation", "prompt"), {"X-Fal-Retryable": "false"}),
    "nomedia": (422, _detail("no_media_generated"), {"X-Fal-Retryable": "true"}),
    "badinput": (422, _detail("image_too_small", "image_url"), {}),
    "badduration": (422, _detail("literal_error", "duration"), {}),
    "unpaid": (403, {"detail": "User is locked. Reason: Exhausted balance."}, {}),
    "timeout": (504, _platform("request_timeout"), {"X-Fal-Request-Timeout-Type": "user"}),
    "crashed": (503, _platform("runner_disconnected"), {"X-Fal-Error-Type": "runner_disconnected"}),
    "header": (500, {"detail": "odd"}, {"X-Fal-Error-Type": "runner_server_error"}),
    "hopeless": (500, _detail("internal_server_error"), {"X-Fal-Retryable": "false"}),
    "downstream": (400, _detail("downstream_service_error"), {}),
    "downstreamagain": (400, _detail("downstream_service_error"), {"X-Fal-Retryable": "true"}),
    "oldpolicy": (422, _detail("value_error", "prompt", message="NSFW content detected"), {}),
    "early": (400, {"detail": "Request is still in progress"}, {}),
    "limited": (429, {"detail": "Slow down"}, {"Retry-After": "4"}),
    "limitedthere": (429, _platform("downstream_service_unavailable"), {}),
    "vanished": (404, {"detail": "Request not found"}, {}),
    "untyped": (500, {"detail": "Internal Server Error"}, {}),
    "unbilled": (200, {"text": "none"}, {"X-Fal-Billable-Units": "0"}),
    "gateway502": (503, {"detail": "Service Unavailable"}, {"Retry-After": "1"}),
    "lockedthen": (403, {"detail": "User is locked. Reason: Exhausted balance."}, {}),
    "revoked": (401, {"detail": "Cannot access application"}, {}),
    "limitedtype": (429, _platform("too_many_requests"), {"X-Fal-Error-Type": "too_many_requests"}),
    "nginx": (502, "<html>nginx {key}</html>", _HTML),
    "empty": (200, {"images": [], "videos": None, "video": None}, {}),
    "error200": (200, {"detail": "It went wrong, {key}.", "error_type": "runner_server_error"}, {}),
    "nothing": (200, {"text": "{key}", "timings": {"inference": 1.0}}, {}),
    "list": (200, ["{key}"], {}),
    "badurl": (200, {"images": [{"url": "http://[::1", "content_type": "image/png"}]}, {}),
    "scheme": (200, {"images": [{"url": "file:///etc/passwd", "content_type": "image/png"}]}, {}),
    "badbase64": (200, {"images": [{"url": "data:image/png;base64,***"}]}, {}),
}


_AFTER_SUCCESS = ("vanished", "untyped", "gateway502", "lockedthen", "revoked")
"""Jobs that went well by their status, and whose result is not given."""


class Asked(msgspec.Struct, kw_only=True):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


class Work(msgspec.Struct, kw_only=True):
    """A job: ``states`` are what the next questions are answered with, before it is done."""

    id: str
    model: str
    word: str
    webhook: str | None
    states: list[Any] = []
    is_canceled: bool = False


class FakeFal:
    """The server. ``asked`` are the requests, newest last, and ``jobs`` what it took, by id.

    ``next`` is the word of the next order alone. Jobs are in the queue while it ``is_held``. ``statuses``: what the
    next questions about any job are answered with, a body, an HTTP status, or both. ``results``, ``cancels``: HTTP
    status and body of the next answers to who asks for a result, or wishes to cancel.
    """

    def __init__(self, key: str = KEY, *, tls: ssl.SSLContext | None = None) -> None:
        self.key, self._tls = key, tls
        self.next: str | None = None
        self.is_held = False
        self.expires_next = False
        self.units: str | None = "1.5"
        self.elsewhere = ""
        """Where the addresses that it tells lead, instead of here."""
        self.asked: list[Asked] = []
        self.jobs: dict[str, Work] = {}
        self.statuses: list[Any] = []
        self.results: list[tuple[int, Any]] = []
        self.cancels: list[tuple[int, Any]] = []
        self.fetches = 0
        self.signer = Ed25519PrivateKey.generate()
        self.keys: Any = None
        """What it publishes instead of the key that it signs with."""
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def jwks_url(self) -> str:
        return f"{self.base_url}/.well-known/jwks.json"

    @property
    def models_url(self) -> str:
        return f"{self.base_url}/v1/models"

    def posts(self) -> list[Asked]:
        return [each for each in self.asked if each.method == "POST"]

    def questions(self) -> list[Asked]:
        return [each for each in self.asked if each.method == "GET" and "/requests/" in each.path]

    async def open(self) -> FakeFal:
        app = web.Application(middlewares=[self._seen], client_max_size=64 * 1024 * 1024)
        app.router.add_get("/.well-known/jwks.json", self._keys)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/files/{name}", self._file)
        app.router.add_get("/{app:.+}/requests/{id}/status", self._status)
        app.router.add_get("/{app:.+}/requests/{id}", self._result)
        app.router.add_put("/{app:.+}/requests/{id}/cancel", self._cancel)
        app.router.add_post("/{model:.+}", self._order)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def close(self) -> None:
        await self._runner.cleanup()

    def callback(self, job: Work, *, sent_at: float | None = None) -> tuple[dict[str, str], bytes]:
        """What it posts to a webhook: the signed message has four lines, the last one the body's SHA-256."""
        body = json.dumps({"request_id": job.id, "gateway_request_id": job.id, "status": "OK", "payload": {}}).encode()
        headers = {
            "x-fal-webhook-request-id": job.id,
            "x-fal-webhook-user-id": "user-1",
            "x-fal-webhook-timestamp": str(int(time.time() if sent_at is None else sent_at)),
        }
        message = "\n".join([*headers.values(), hashlib.sha256(body).hexdigest()]).encode()
        return {**headers, "x-fal-webhook-signature": self.signer.sign(message).hex()}, body

    @web.middleware
    async def _seen(self, request: web.Request, handler: Any) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.json() if request.method == "POST" else None
        self.asked.append(
            Asked(method=request.method, path=request.path, query=dict(request.query), headers=headers, body=body)
        )
        is_open = request.path.startswith(("/files/", "/v1/", "/.well-known/"))
        if request.path.startswith("/files/") and "authorization" in headers:
            return _json(400, {"detail": "a key at a place where anybody reads it"})
        if not is_open and headers.get("authorization") != f"Key {self.key}":
            return _json(401, {"detail": f"Cannot access application: {headers.get('authorization')}"})
        answer: web.StreamResponse = await handler(request)
        answer.headers["X-Fal-Request-Id"] = request.match_info.get("id", "gateway-1")
        return answer

    async def _order(self, request: web.Request) -> web.StreamResponse:
        model, body = request.match_info["model"], self.asked[-1].body
        known = INPUTS.get(model)
        if known is None:
            return _json(404, {"detail": f"Application {model!r} not found"})
        if unknown := sorted(body.keys() - known.keys()):
            return _json(422, _detail("extra_forbidden", unknown[0]))
        word, self.next = self.next or body["prompt"].split()[0], None
        if word in DECLINES:
            return self._said(*DECLINES[word])
        id_ = f"019a-{len(self.jobs) + 1}"
        job = Work(id=id_, model=model, word=word, webhook=request.query.get("fal_webhook"))
        job.states = [{"status": "IN_QUEUE", "queue_position": 1}, {"status": "IN_PROGRESS", "logs": []}]
        self.jobs[id_] = job
        if word == "lost":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        told = {"request_id": id_, "gateway_request_id": id_, "status": "IN_QUEUE", "queue_position": 0}
        return _json(200, {**told, **self._addresses(job)})

    def _addresses(self, job: Work) -> dict[str, str]:
        parts = job.model.split("/")
        app = "/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2])
        here = f"{self.elsewhere or self.base_url}/{app}/requests/{job.id}"
        return {"status_url": f"{here}/status", "response_url": here, "cancel_url": f"{here}/cancel"}

    def _job(self, request: web.Request) -> Work | None:
        job = self.jobs.get(request.match_info["id"])
        return (
            job if job and self._addresses(job)["response_url"].find(f"/{request.match_info['app']}/req") > 0 else None
        )

    async def _status(self, request: web.Request) -> web.StreamResponse:
        if self.statuses:
            said = self.statuses.pop(0)
            if isinstance(said, tuple):
                return self._said(*said, {})
            if isinstance(said, int):
                return _json(said, {"detail": f"HTTP {said}, {self.key}"}, {"Retry-After": "9"})
            return self._said(200, said, {})
        job = self._job(request)
        if job is None:
            return _json(404, {"detail": "Request not found"})
        if job.is_canceled:
            return _json(200, {"status": "COMPLETED", "logs": None, **_platform("client_cancelled")})
        if self.is_held:
            return _json(202, {"status": "IN_QUEUE", "queue_position": 3, **self._addresses(job)})
        if job.states:
            return _json(202, {**job.states.pop(0), **self._addresses(job)})
        status = ENDS[job.word][0] if job.word in ENDS else 200
        is_clean = status in (200, 400, 429, 502) or job.word in _AFTER_SUCCESS
        error = {} if is_clean else {"error": f"Invalid status code: {status}"}
        metrics = {"inference_time": 1.25, "note": self.key}
        return _json(200, {"status": "COMPLETED", "logs": [{"message": self.key}], "metrics": metrics, **error})

    async def _result(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job is None:
            return _json(404, {"detail": "Request not found"})
        if self.results:
            return self._said(*self.results.pop(0), {})
        if job.is_canceled:
            return _json(499, _platform("client_cancelled"))
        if job.word in ENDS:
            return self._said(*ENDS[job.word])
        return _json(
            200, self._made(job, request.query), {} if self.units is None else {"X-Fal-Billable-Units": self.units}
        )

    def _made(self, job: Work, query: Any) -> Any:
        is_video, sig = job.model == VIDEOS, "ended" if self.expires_next else str(len(self.asked))
        self.expires_next = False
        mime_type = "video/mp4" if is_video else "image/png"
        url = f"{self.base_url}/files/{job.id}.{mime_type[-3:]}?sig={sig}"
        if job.word == "inline":
            data = picture(300, 300) if job.model == IMAGES else clip(64, 64, 2)
            url = f"data:{mime_type};base64,{base64.b64encode(data).decode()}"
        file = {"url": url, "content_type": mime_type, "file_name": self.key, "file_size": None}
        if is_video:
            return {"video": file, "seed": 7, "actual_prompt": "a green hill, in motion"}
        flags = [job.word == "flagged"]
        return {"images": [{**file, "width": 64, "height": 64}], "seed": 7, "has_nsfw_concepts": flags, "prompt": "p"}

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if self.cancels:
            status, said = self.cancels.pop(0)
            return self._said(status, said, {})
        if job is None:
            return _json(404, {"status": "NOT_FOUND"})
        if not (self.is_held or job.states):
            return _json(400, {"status": "ALREADY_COMPLETED"})
        job.is_canceled = True
        return _json(202, {"status": "CANCELLATION_REQUESTED"})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if request.query["sig"] == "ended":
            return web.Response(status=403)
        is_picture = request.match_info["name"].endswith("png")
        return web.Response(body=picture(64, 64) if is_picture else clip(64, 64, 2))

    async def _keys(self, _: web.Request) -> web.StreamResponse:
        self.fetches += 1
        if isinstance(self.keys, int):
            return _json(self.keys, {"detail": "No."})
        x = base64.urlsafe_b64encode(self.signer.public_key().public_bytes_raw()).decode()
        return _json(200, self.keys if self.keys is not None else {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]})

    async def _models(self, request: web.Request) -> web.StreamResponse:
        id_ = request.query["endpoint_id"]
        if id_ not in INPUTS:
            error = {"type": "not_found", "message": f"Endpoint {id_!r} not found"}
            return _json(404, {"error": error})
        return _json(200, {"models": [model_entry(id_)], "next_cursor": None, "has_more": False})

    def _said(self, status: int, body: Any, headers: dict[str, str]) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(
            status=status,
            text=text.replace("{key}", self.key),
            headers={"Content-Type": "application/json", "X-Fal-Echo": self.key, **headers},
        )


def model_entry(id_: str) -> dict[str, Any]:
    """A model as the platform's API tells it, with its schema."""
    post = {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}}}
    schemas = {"In": {"type": "object", "properties": INPUTS[id_], "required": ["prompt"]}, "ImageSize": {}}
    status_path = f"/{id_}/requests/{{request_id}}/status"
    openapi = {"paths": {status_path: {"get": {}}, f"/{id_}": {"post": post}}, "components": {"schemas": schemas}}
    category = "text-to-image" if id_ == IMAGES else "image-to-video"
    return {"endpoint_id": id_, "metadata": {"category": category, "status": "active"}, "openapi": openapi}


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, text=json.dumps(body), headers={"Content-Type": "application/json", **(headers or {})}
    )
