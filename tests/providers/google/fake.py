"""Google's APIs as far as the official client knows them, and stricter: a field that it does not send is refused.

It runs in a thread of its own, so whoever uses it may block. Both platforms are at one address: what has an API key is
the Developer API, what has an access token is Vertex. Its token endpoint judges a statement by google-auth.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import google.auth.jwt
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from safelight.providers.noop import mp4, png
from tests.providers.google.faults import CANARY_MARK, FAULTS, PICTURES
from tests.providers.google.shapes import GENERATE, INTERACTION, VEO, Refusal, check
from tests.support.hosting import hosted

KEY = "AIza-canary-77d1-google"
PROJECT, LOCATION = "studio-1", "europe-west4"
MODELS = ("gemini-image", "gemini-omni", "veo-3")
_SCOPE = f"projects/{PROJECT}/locations/{LOCATION}"
_EMAIL = "media@studio-1.iam.gserviceaccount.com"


class Call(msgspec.Struct):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


class FakeGoogle:
    """``calls`` are the requests, newest last; ``jobs`` by id. ``behave`` says what the next orders get, one each.

    ``states`` is what the next questions about a job are answered with: a document, or an HTTP status. Jobs are under
    way while it ``is_held``. ``video`` is what a clip is. ``lifetime_seconds`` is that of an access token.
    """

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.calls: list[Call] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.states: list[Any] = []
        self.is_held = False
        self.expires_next = False
        self.video: bytes | None = None
        self.lifetime_seconds: Any = 3600
        self.tokens: list[str] = []
        self.token_faults: list[tuple[int, Any]] = []
        self.revoked: set[str] = set()
        self.taken = 0
        self._faults: list[str] = []
        self._numbers = itertools.count(1)
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def canary(self) -> str:
        """What it quotes wherever it can: the newest access token, or else the key."""
        return self.tokens[-1] if self.tokens else self.key

    def behave(self, *faults: str) -> None:
        self._faults = list(faults)

    def orders(self) -> list[Call]:
        ends = (":generateContent", ":predictLongRunning", "/interactions")
        return [call for call in self.calls if call.method == "POST" and call.path.endswith(ends)]

    def asked(self) -> list[Call]:
        """Questions about jobs."""
        return [
            call
            for call in self.calls
            if call.path.endswith(":fetchPredictOperation") or (call.method == "GET" and "/interactions/" in call.path)
        ]

    def service_account(self, **more: Any) -> str:
        """The JSON of its service account's key."""
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "key-1",
            "private_key": private_key(),
            "client_email": _EMAIL,
            "client_id": "1",
            "token_uri": f"{self.base_url}/token",
            **more,
        }
        return json.dumps(account)

    def authorized_user(self, **more: Any) -> str:
        consent = {
            "type": "authorized_user",
            "client_id": "client-1",
            "client_secret": "secret-canary-1",
            "refresh_token": "refresh-canary-1",
            "token_uri": f"{self.base_url}/token",
            **more,
        }
        return json.dumps(consent)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        for root in ("/{version}", f"/{{version}}/{_SCOPE}"):
            app.router.add_post(f"{root}/interactions", self._interact)
            app.router.add_get(f"{root}/interactions/{{id}}", self._interaction)
            app.router.add_post(f"{root}/interactions/{{id}}/cancel", self._cancel)
        models = f"/{{version}}/{_SCOPE}/publishers/google/models"
        app.router.add_post("/{version}/models/{action}", self._generate)
        app.router.add_get("/{version}/models/{id}", self._model)
        app.router.add_post(f"{models}/{{action}}", self._on_vertex)
        app.router.add_get("/{version}/publishers/google/models/{id}", self._model)
        app.router.add_get("/{version}/files/{name}", self._file)
        app.router.add_post("/token", self._token)
        app.router.add_get("/computeMetadata/v1/instance/service-accounts/default/token", self._metadata)
        app.router.add_get("/storage/v1/b/{bucket}/o/{object}", self._object)
        app.router.add_get("/cdn/{name}", self._cdn)
        return app

    # Tokens.

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = dict(await request.post())
        self._record(request, form)
        if self.token_faults:
            status, body = self.token_faults.pop(0)
            text = (body if isinstance(body, str) else json.dumps(body)).replace(CANARY_MARK, str(form))
            return web.Response(status=status, text=text, content_type="application/json")
        if form.get("grant_type") == "refresh_token":
            expected = {
                "client_id": "client-1",
                "client_secret": "secret-canary-1",
                "refresh_token": "refresh-canary-1",
            }
            if {name: form.get(name) for name in expected} != expected:
                return web.json_response({"error": "invalid_grant", "error_description": "Bad Request"}, status=400)
            return self._issued()
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        try:
            claims: Mapping[str, Any] = google.auth.jwt.decode(
                str(form["assertion"]), certs={"key-1": public_key()}, audience=f"{self.base_url}/token"
            )
        except Exception as error:
            return web.json_response({"error": "invalid_grant", "error_description": str(error)}, status=400)
        if claims["iss"] != _EMAIL or claims["scope"] != "https://www.googleapis.com/auth/cloud-platform":
            return web.json_response({"error": "invalid_scope", "error_description": str(claims)}, status=400)
        return self._issued()

    def _issued(self) -> web.StreamResponse:
        self.tokens.append(f"ya29.{self.key}-{len(self.tokens)}")
        body = {"access_token": self.tokens[-1], "expires_in": self.lifetime_seconds, "token_type": "Bearer"}
        return web.json_response(body)

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        if request.headers.get("Metadata-Flavor") != "Google":
            return web.Response(status=403)
        answer = self._issued()
        answer.headers["Metadata-Flavor"] = "Google"
        return answer

    # Orders.

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        model, _, method = request.match_info["action"].partition(":")
        if method != "generateContent":
            return error(404, "NOT_FOUND", f"no method {method}")
        return await self._ordered(request, model, GENERATE, self._picture)

    async def _on_vertex(self, request: web.Request) -> web.StreamResponse:
        model, _, method = request.match_info["action"].partition(":")
        match method:
            case "generateContent":
                return await self._ordered(request, model, GENERATE, self._picture)
            case "predictLongRunning":
                return await self._ordered(request, model, VEO, self._operation)
            case "fetchPredictOperation":
                return await self._fetch(request)
            case _:
                return error(404, "NOT_FOUND", f"no method {method}")

    async def _interact(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("api-revision", "2026-05-20") != "2026-05-20":
            return error(400, "INVALID_ARGUMENT", "no such revision", is_worded=True)
        return await self._ordered(request, None, INTERACTION, self._begin)

    async def _ordered(
        self, request: web.Request, model: str | None, shape: Any, make: Callable[[Any], web.StreamResponse]
    ) -> web.StreamResponse:
        body = await request.json()
        self._record(request, body)
        if (answer := self._unauthorized(request)) is not None:
            return answer
        if (model or body.get("model")) not in MODELS:
            return error(404, "NOT_FOUND", f"models/{model} is not found for API version v1.")
        try:
            check(body, shape)
        except Refusal as refusal:
            violations = [{"field": refusal.field, "description": refusal.message}]
            details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]
            return error(400, "INVALID_ARGUMENT", refusal.message, details)
        fault = self._faults.pop(0) if self._faults else None
        if fault == "drop":
            self.taken += 1
            make(body)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault in FAULTS:
            return self._told(*FAULTS[fault])
        self.taken += 1
        if fault in PICTURES:
            return self._told(200, PICTURES[fault])
        return make(body)

    def _told(self, status: int, body: Any, headers: dict[str, str] | None = None) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        text = text.replace(CANARY_MARK, self.canary)
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)

    def _picture(self, body: Any) -> web.StreamResponse:
        draft = {
            "inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"a draft").decode()},
            "thought": True,
        }
        made = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(png()).decode()}}
        parts = [{"text": "Thinking.", "thought": True}, draft, {"text": "Here it is."}, made]
        return web.json_response(answered(parts, note=self.canary))

    def _begin(self, body: Any) -> web.StreamResponse:
        if not body.get("background") or not body.get("store"):
            return error(400, "INVALID_ARGUMENT", "the model needs background and store", is_worded=True)
        number = next(self._numbers)
        job = {"id": f"v1_{number}", "body": body, "status": "queued"}
        self.jobs[job["id"]] = job
        shown = {"id": job["id"], "status": "queued", "model": body["model"], "created": "2026-11-25T00:00:00Z"}
        return web.json_response(shown)

    def _operation(self, body: Any) -> web.StreamResponse:
        instance = body["instances"][0]
        if "referenceImages" in instance and instance.keys() & {"image", "lastFrame", "video"}:
            return error(400, "INVALID_ARGUMENT", "referenceImages excludes image and lastFrame")
        number = next(self._numbers)
        name = f"{_SCOPE}/publishers/google/models/veo-3/operations/op-{number}"
        self.jobs[name] = {"id": name, "body": body}
        return web.json_response({"name": name})

    # Jobs.

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self._record(request, body)
        if (answer := self._unauthorized(request)) is not None:
            return answer
        job = self.jobs.get(body["operationName"])
        if set(body) != {"operationName"} or job is None:
            return error(404, "NOT_FOUND", "no such operation")
        name = job["id"]
        if self.states:
            return self._state({"name": name})
        if self.is_held:
            return web.json_response({"name": name, "metadata": {"@type": "x"}})
        if (uri := job["body"]["parameters"].get("storageUri")) is not None:
            video = {"gcsUri": f"{uri.rstrip('/')}/a b/{'ended' if self.expires_next else 'made'}.mp4"}
            self.expires_next = False
        else:
            video = {"bytesBase64Encoded": self._clip_text(job)}
        response = {"@type": "x", "raiMediaFilteredCount": 0, "videos": [{**video, "mimeType": "video/mp4"}]}
        return web.json_response({"name": name, "done": True, "response": response})

    async def _interaction(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        if (answer := self._unauthorized(request)) is not None:
            return answer
        job = self.jobs.get(request.match_info["id"])
        if job is None or dict(request.query) != {"stream": "false"}:
            return error(404, "NOT_FOUND", "no such interaction", is_worded=True)
        told = {"id": job["id"], "model": job["body"]["model"]}
        if self.states:
            return self._state(told)
        if job["status"] != "cancelled":
            job["status"] = "in_progress" if self.is_held else "completed"
        told["status"] = job["status"]
        if job["status"] == "completed":
            told |= {
                "steps": [{"type": "thought", "summary": []}, self._output(job)],
                "usage": {**_USAGE, "note": self.canary},
            }
        return web.json_response(told)

    def _state(self, told: dict[str, Any]) -> web.StreamResponse:
        state = self.states.pop(0)
        if isinstance(state, int):
            return error(state, "UNAVAILABLE", f"trouble with {self.canary}")
        if isinstance(state, str):
            return web.Response(text=state, content_type="text/html")
        return self._told(200, {**told, **state})

    def _output(self, job: dict[str, Any]) -> dict[str, Any]:
        shape = job["body"]["response_format"]
        is_clip = shape["type"] == "video"
        item: dict[str, Any] = {"type": shape["type"], "mime_type": "video/mp4" if is_clip else "image/png"}
        if shape.get("delivery") == "uri":
            name = "ended" if self.expires_next else f"file{job['id'][3:]}"
            self.expires_next = False
            item["uri"] = f"{self.base_url}/v1/files/{name}:download?alt=media"
        else:
            item["data"] = self._clip_text(job) if is_clip else base64.b64encode(png()).decode()
        return {"type": "model_output", "content": [{"type": "text", "text": "Here it is."}, item]}

    def _clip_text(self, job: dict[str, Any]) -> str:
        return base64.b64encode(self._clip(job)).decode()

    def _clip(self, job: dict[str, Any]) -> bytes:
        if self.video is not None:
            return self.video
        if "parameters" in job["body"]:
            return mp4(job["body"]["parameters"].get("durationSeconds", 2))
        return mp4(int(job["body"]["response_format"].get("duration", "2s").rstrip("s")))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        if (answer := self._unauthorized(request)) is not None:
            return answer
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return error(404, "NOT_FOUND", "no such interaction", is_worded=True)
        if job["status"] in ("completed", "cancelled"):
            return error(400, "FAILED_PRECONDITION", "it is done", is_worded=True)
        job["status"] = "cancelled"
        return web.json_response({"id": job["id"], "status": "cancelled"})

    # Files and models.

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        name, _, method = request.match_info["name"].partition(":")
        if (answer := self._unauthorized(request)) is not None:
            return answer
        if method != "download" or request.query.get("alt") != "media" or name == "ended":
            return error(404, "NOT_FOUND", "no such file")
        return web.Response(body=self._clip(self.jobs[f"v1_{name[4:]}"]), content_type="video/mp4")

    async def _object(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        if (answer := self._unauthorized(request)) is not None:
            return answer
        if request.match_info["object"].endswith("ended.mp4"):
            return error(404, "NOT_FOUND", "no such object")
        return web.Response(body=self._clip(list(self.jobs.values())[-1]), content_type="video/mp4")

    async def _cdn(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        return web.Response(body=mp4(2), content_type="video/mp4")

    async def _model(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        if (answer := self._unauthorized(request)) is not None:
            return answer
        model = request.match_info["id"]
        if model not in MODELS:
            return error(404, "NOT_FOUND", f"models/{model} is not found for API version v1. {self.canary}")
        methods = ["generateContent", "countTokens"] if model == "gemini-image" else ["predictLongRunning"]
        return web.json_response({"name": f"models/{model}", "supportedGenerationMethods": methods})

    def _unauthorized(self, request: web.Request) -> web.StreamResponse | None:
        is_vertex = "/publishers/" in request.path or "/projects/" in request.path or "/storage/" in request.path
        if not is_vertex:
            if request.headers.get("x-goog-api-key") == self.key and "Authorization" not in request.headers:
                return None
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            return error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [info])
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in self.tokens and token not in self.revoked and "x-goog-api-key" not in request.headers:
            return None
        return error(401, "UNAUTHENTICATED", f"Request had invalid authentication credentials: {token}")

    def _record(self, request: web.Request, body: Any = None) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append(Call(request.method, request.path, dict(request.query), headers, body))


_USAGE: dict[str, Any] = {
    "total_input_tokens": 12,
    "total_output_tokens": 5000,
    "total_tokens": 5012,
    "output_tokens_by_modality": [{"modality": "video", "tokens": 5000}],
}


def answered(parts: list[dict[str, Any]], finish: str = "STOP", **more: Any) -> dict[str, Any]:
    """An answer of generateContent."""
    usage = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 1290,
        "thoughtsTokenCount": 10,
        "totalTokenCount": 1309,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "responseId": "resp-1", "modelVersion": "m", **more}


def error(status: int, word: str, message: str, details: Any = None, *, is_worded: bool = False) -> web.Response:
    """An error of Google's, or as Interactions has it, whose code is a word."""
    told: dict[str, Any] = {"code": status, "message": message, "status": word}
    if is_worded:
        told = {"code": word.lower(), "message": message}
    if details is not None:
        told["details"] = details
    return web.json_response({"error": told}, status=status)


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_key() -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return _key().private_bytes(encoding, form, serialization.NoEncryption()).decode()


def public_key() -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return _key().public_key().public_bytes(encoding, form)


@contextmanager
def serve(fake: FakeGoogle) -> Iterator[FakeGoogle]:
    """The server on a free port of loopback, until the end of the ``with``."""
    with hosted(fake.app(), shutdown_seconds=1) as (fake.port,):
        yield fake
