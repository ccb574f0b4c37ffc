"""The hosted API, stricter than itself: what it does not know it refuses, and it quotes the key wherever it can.

It runs in a thread of its own, so whoever uses it may block. Files lie at another origin, which must never get the key.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from standardwebhooks import Webhook

from safelight.providers.noop import mp4, png
from tests.providers.replicate.models import DECLINES, DEPLOYMENTS, ENUMS, KEYS, MODELS, VERSION, problem, version_of
from tests.support.hosting import hosted

KEY = "r8_canary-5d1e-replicate"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_BODY = {"input", "version", "webhook", "webhook_events_filter", "stream"}
_EVENTS = {"start", "output", "logs", "completed"}
_INLINE_BYTES = 256 * 1024
LOG = "Using seed: 4711\n  0%|          | 0/28 [00:00<?, ?it/s]\n 50%|#####     | 14/28 [00:01<00:01, 9.1it/s]\n"


class Call(msgspec.Struct):
    """A request as it came. ``body`` is its JSON; of a form, the files by their fields."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


class FakeReplicate:
    """``calls`` are the requests, newest last, and ``predictions`` what was taken, by id.

    ``behave``: what the next orders get, one each, a word of ``DECLINES``, ``lost``, ``bad_gateway_after`` or
    ``broken_after``.
    ``states``: what a new prediction says at each question, in turn, over what it is; then it has succeeded, unless all
    ``is_held``; ``next_states`` are said before them by the next one alone. ``questions_get``: HTTP statuses that the
    next questions are answered with.
    """

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.calls: list[Call] = []
        self.predictions: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.states: list[dict[str, Any]] = []
        self.next_states: list[dict[str, Any]] = []
        self.output: Any = None
        self.questions_get: list[int] = []
        self.cancels_get: list[int | str] = []
        self.uploads_get: list[tuple[int, str]] = []
        self.secrets_get: list[int] = []
        self.secret = SECRET
        self.is_held = self.has_begun = False
        self.page_size = 100
        self.lists_webhooks = self.lists_outputs = self.lists_errors = self.knows_dates = True
        self.expires_next = False
        self._faults: list[str] = []
        self._numbers = itertools.count(1)
        self.port = self.files_port = 0

    @property
    def root_url(self) -> str:
        """What the official client takes for a base_url."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.root_url}/v1"

    @property
    def files_host(self) -> str:
        return f"127.0.0.1:{self.files_port}"

    def connection(self, name: str = "replicate", **more: Any) -> dict[str, Any]:
        """An entry of ``[[connections]]`` that leads here."""
        given = {"base_url": self.base_url, "key": "env:REPLICATE_API_TOKEN", "allow": [self.files_host]}
        return {"name": name, "kind": "replicate", **given, **more}

    def behave(self, *faults: str) -> None:
        self._faults = list(faults)

    def orders(self) -> list[Call]:
        return [call for call in self.calls if call.method == "POST" and call.path.endswith("/predictions")]

    def asked(self, method: str = "GET", path: str = "/v1/predictions") -> list[Call]:
        return [call for call in self.calls if call.method == method and call.path.startswith(path)]

    def newest(self) -> dict[str, Any]:
        return list(self.predictions.values())[-1]

    def webhook(self, prediction: dict[str, Any], sent_at: datetime | None = None) -> tuple[dict[str, str], bytes]:
        """What is posted as it ends: headers in lower case, and body."""
        body = json.dumps(self._shown(prediction)).encode()
        moment = sent_at or datetime.now(UTC)
        signature = Webhook(self.secret).sign("msg_1", moment, body.decode())
        signatures = f"v1,bm90aGluZw== v2,{signature[3:]} {signature}"
        names = {"webhook-id": "msg_1", "webhook-timestamp": str(int(moment.timestamp()))}
        return {**names, "webhook-signature": signatures}, body

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._with_key], client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/predictions", self._order_version)
        app.router.add_post("/v1/models/{owner}/{name}/predictions", self._order_model)
        app.router.add_post("/v1/deployments/{owner}/{name}/predictions", self._order_deployment)
        app.router.add_get("/v1/predictions", self._list)
        app.router.add_get("/v1/predictions/{id}", self._prediction)
        app.router.add_post("/v1/predictions/{id}/cancel", self._cancel)
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/account", self._account)
        app.router.add_get("/v1/models/{owner}/{name}", self._model)
        app.router.add_get("/v1/models/{owner}/{name}/versions/{version}", self._version)
        app.router.add_get("/v1/deployments/{owner}/{name}", self._deployment)
        app.router.add_get("/v1/webhooks/default/secret", self._secret)
        return app

    def files_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/out/{name}", self._file)
        return app

    @web.middleware
    async def _with_key(self, request: web.Request, handler: Any) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.method, request.path, dict(request.query), headers)
        if request.content_type == "application/json" and request.can_read_body:
            call.body = await request.json()
        self.calls.append(call)
        if headers.get("authorization") != f"Bearer {self.key}":
            return self._said(problem(401, "Unauthenticated", "You did not pass a valid authentication token"))
        answer: web.StreamResponse = await handler(request)
        answer.headers["X-Quoted"] = self.key
        return answer

    async def _order_version(self, request: web.Request) -> web.StreamResponse:
        version = (self.calls[-1].body or {}).get("version")
        found = [name for name, (id_, _) in MODELS.items() if id_ == version]
        if not found:
            return self._said(problem(422, "Invalid version or not permitted", "The specified version does not exist"))
        return await self._order(request, found[0], has_version=True)

    async def _order_model(self, request: web.Request) -> web.StreamResponse:
        model = "{owner}/{name}".format(**request.match_info)
        if not MODELS.get(model, ("", False))[1]:
            return self._said(DECLINES["gone"])
        return await self._order(request, model)

    async def _order_deployment(self, request: web.Request) -> web.StreamResponse:
        deployment = "{owner}/{name}".format(**request.match_info)
        if deployment not in DEPLOYMENTS:
            return self._said(DECLINES["gone"])
        return await self._order(request, DEPLOYMENTS[deployment], deployment=deployment)

    async def _order(
        self, request: web.Request, model: str, *, deployment: str | None = None, has_version: bool = False
    ) -> web.StreamResponse:
        call, version = self.calls[-1], MODELS[model][0]
        fault = self._faults.pop(0) if self._faults else None
        if fault in DECLINES:
            return self._said(DECLINES[fault])
        if (wrong := self._wrong_with(call, version, has_version=has_version)) is not None:
            return self._said(wrong)
        made = self._taken(call, model, version, deployment)
        if fault == "lost":
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        if fault == "bad_gateway_after":
            return self._said(DECLINES["bad_gateway"])
        if fault == "broken_after":
            return self._said(problem(500, "Internal error", "Something went wrong."))
        return web.json_response(self._shown(made), status=201)

    def _taken(self, call: Call, model: str, version: str, deployment: str | None) -> dict[str, Any]:
        id_ = f"gm3qorzdhgbfurvjtvhg6dck{next(self._numbers):02}"
        states, self.next_states = [*self.next_states, *self.states], []
        made = {
            "id": id_,
            "model": model,
            "version": "hidden" if MODELS[model][1] else version,
            "input": call.body["input"],
            "status": "starting",
            "states": [dict(state) for state in states],
            "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "webhook": call.body.get("webhook"),
            "deployment": deployment,
            "makes": self.output,
            "has_begun": self.has_begun,
        }
        self.predictions[id_] = made
        return made

    def _wrong_with(self, call: Call, version: str, *, has_version: bool) -> tuple[int, str, dict[str, str]] | None:
        body, keys = call.body, KEYS[version]
        if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
            return problem(422, "Invalid request", "input is required")
        if unknown := body.keys() - (_BODY if has_version else _BODY - {"version"}):
            return problem(422, "Invalid request", f"Additional property {min(unknown)} is not allowed")
        webhook = body.get("webhook", "https://")
        if not webhook.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            return DECLINES["bad_webhook"]
        if not set(body.get("webhook_events_filter", [])) <= _EVENTS:
            return problem(422, "Invalid request", "webhook_events_filter is not valid")
        wrong = [why for name, value in body["input"].items() if (why := self._wrong_value(name, value, keys))]
        if not body["input"].get("prompt"):
            wrong.append("- input.prompt: is required")
        return problem(422, "Input validation failed", "\n".join(wrong)) if wrong else None

    def _wrong_value(self, name: str, value: Any, keys: dict[str, Any]) -> str | None:
        if name not in keys:
            return f"- input: Additional property {name} is not allowed"
        schema = ENUMS[name] if "allOf" in keys[name] else keys[name]
        kinds = {"string": str, "integer": int, "boolean": bool, "array": list}
        if not isinstance(value, kinds[schema["type"]]):
            return f"- input.{name}: Invalid type. Expected: {schema['type']}"
        if "enum" in schema and value not in schema["enum"]:
            return f"- input.{name}: must be one of {schema['enum']}"
        if "maximum" in schema and not schema["minimum"] <= value <= schema["maximum"]:
            return f"- input.{name}: Must be at most {schema['maximum']}"
        for address in value if isinstance(value, list) else [value]:
            if isinstance(address, str) and address.startswith("data:") and len(address) > _INLINE_BYTES * 1.4:
                return f"- input.{name}: the data URL is too large"
        return None

    async def _prediction(self, request: web.Request) -> web.StreamResponse:
        if self.questions_get:
            status = self.questions_get.pop(0)
            headers = {"Retry-After": "9"} if status == 429 else {}
            return self._said((status, json.dumps({"detail": f"No, {self.key}."}), headers))
        made = self.predictions.get(request.match_info["id"])
        if made is None:
            return self._said(DECLINES["gone"])
        return web.json_response(self._shown(self._moved(made)))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if self.questions_get:
            return self._said((self.questions_get.pop(0), "{}", {"Retry-After": "9"}))
        after = request.query.get("created_after", "") if self.knows_dates else ""
        newest = [each for each in reversed(self.predictions.values()) if each["created_at"] >= after]
        start = int(request.query.get("cursor", "0"))
        end = start + self.page_size
        results = [self._shown(self._moved(each)) for each in newest[start:end]]
        for shown in results:
            del shown["logs"]
            lists = {"webhook": self.lists_webhooks, "output": self.lists_outputs, "error": self.lists_errors}
            for name, is_listed in lists.items():
                if not is_listed:
                    shown.pop(name, None)
        following = f"{self.base_url}/predictions?cursor={end}" if end < len(newest) else None
        return web.json_response({"next": following, "previous": None, "results": results})

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        word = self.cancels_get.pop(0) if self.cancels_get else None
        if isinstance(word, int):
            return self._said((word, "{}", {}))
        made = self.predictions.get(request.match_info["id"])
        if made is None:
            return self._said(DECLINES["gone"])
        if made["status"] in ("starting", "processing"):
            made["status"] = word or ("canceled" if made["has_begun"] else "aborted")
            made["states"] = []
        return web.json_response(self._shown(made))

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        if self.uploads_get:
            status, text = self.uploads_get.pop(0)
            return self._said((status, text, {}))
        form = await request.post()
        content = form["content"]
        if not isinstance(content, web.FileField) or form.keys() - {"content", "metadata"}:
            return self._said(problem(422, "Invalid request", "content is required"))
        id_ = f"file-{len(self.files) + 1}"
        self.files[id_] = content.file.read()
        about = {"name": content.filename, "content_type": content.content_type, "size": len(self.files[id_])}
        more = {"etag": "e", "checksums": {"sha256": "0"}, "metadata": {}, "created_at": "2026-01-01T00:00:00Z"}
        urls = {"get": f"{self.base_url}/files/{id_}"}
        return web.json_response({"id": id_, **about, **more, "expires_at": None, "urls": urls}, status=201)

    async def _account(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"type": "organization", "username": "acme", "name": "Acme", "github_url": None})

    async def _model(self, request: web.Request) -> web.StreamResponse:
        model = "{owner}/{name}".format(**request.match_info)
        if model not in MODELS:
            return self._said(DECLINES["gone"])
        owner, name = model.split("/")
        version, is_official = MODELS[model]
        facts = dict.fromkeys(("description", "github_url", "paper_url", "license_url", "cover_image_url"))
        about = {"url": f"https://replicate.com/{model}", "owner": owner, "name": name, "visibility": "public"}
        latest = {"latest_version": version_of(version, KEYS[version]), "default_example": None}
        return web.json_response({**about, **facts, **latest, "run_count": 1, "is_official": is_official})

    async def _version(self, request: web.Request) -> web.StreamResponse:
        model, version = "{owner}/{name}".format(**request.match_info), request.match_info["version"]
        if MODELS.get(model, ("",))[0] != version:
            return self._said(DECLINES["gone"])
        return web.json_response(version_of(version, KEYS[version]))

    async def _deployment(self, request: web.Request) -> web.StreamResponse:
        deployment = "{owner}/{name}".format(**request.match_info)
        if deployment not in DEPLOYMENTS:
            return self._said(DECLINES["gone"])
        owner, name = deployment.split("/")
        by = {"type": "organization", "username": "acme", "name": "Acme", "github_url": None}
        scale = {"hardware": "gpu-t4", "min_instances": 0, "max_instances": 1}
        release = {"number": 1, "model": DEPLOYMENTS[deployment], "version": VERSION, "created_by": by}
        release |= {"created_at": "2026-01-01T00:00:00Z", "configuration": scale}
        return web.json_response({"owner": owner, "name": name, "current_release": release})

    async def _secret(self, request: web.Request) -> web.StreamResponse:
        if self.secrets_get:
            return self._said((self.secrets_get.pop(0), "{}", {}))
        return web.json_response({"key": self.secret})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            return web.Response(status=400, text="the key was sent to a host that is not the API's")
        if request.query.get("sig") == "ended":
            return web.Response(status=404)
        return web.Response(body=png() if request.match_info["name"].endswith("png") else mp4(2))

    def _moved(self, made: dict[str, Any]) -> dict[str, Any]:
        """One step further. What was in the output meanwhile does not stay."""
        if made["status"] not in ("succeeded", "failed", "canceled", "aborted"):
            made.pop("output", None)
        if made["states"]:
            made.update(made["states"].pop(0))
        elif made["status"] not in ("succeeded", "failed", "canceled", "aborted"):
            made["has_begun"] = True
            made["status"] = "processing" if self.is_held else "succeeded"
        return made

    def _shown(self, made: dict[str, Any]) -> dict[str, Any]:
        """As an answer tells it. There is output already before it has ended."""
        status, id_ = made["status"], made["id"]
        log = LOG.replace("4711", str(made["input"].get("seed", 4711)))
        has_ended = status in ("succeeded", "failed", "canceled")
        urls = {"get": f"{self.base_url}/predictions/{id_}", "cancel": f"{self.base_url}/predictions/{id_}/cancel"}
        shown = {
            **{name: made[name] for name in ("id", "model", "version", "input", "status", "created_at")},
            "output": self._output(made) if status in ("succeeded", "processing") else None,
            "logs": f"{log}token {self.key}\n" if status != "starting" else "",
            "error": None,
            "data_removed": False,
            "source": "api",
            "started_at": None if status in ("starting", "aborted") else "2026-01-01T00:00:01.000000Z",
            "completed_at": "2026-01-01T00:00:02.000000Z" if has_ended else None,
            "metrics": {"predict_time": 1.25, "image_count": 1, "device": self.key} if has_ended else {},
            "urls": urls,
        }
        if made["deployment"] is not None:
            shown["deployment"] = made["deployment"]
        if made["webhook"] is not None:
            shown |= {"webhook": made["webhook"], "webhook_events_filter": ["completed"]}
        return shown | {
            name: made[name] for name in ("error", "logs", "metrics", "data_removed", "output") if name in made
        }

    def _output(self, made: dict[str, Any]) -> Any:
        if made["makes"] is not None:
            return json.loads(json.dumps(made["makes"]).replace("{files}", f"http://{self.files_host}/out"))
        is_clip = "duration" in KEYS[MODELS[made["model"]][0]]
        signature = "ended" if self.expires_next and made["status"] == "succeeded" else len(self.calls)
        if made["status"] == "succeeded":
            self.expires_next = False
        address = f"http://{self.files_host}/out/{made['id']}.{'mp4' if is_clip else 'png'}?sig={signature}"
        return address if is_clip else [address]

    def _said(self, answer: tuple[int, str, dict[str, str]]) -> web.Response:
        status, text, headers = answer
        return web.Response(
            status=status, text=text.replace("{key}", self.key), headers={"Content-Type": "application/json", **headers}
        )


@contextmanager
def serve(fake: FakeReplicate) -> Iterator[FakeReplicate]:
    """The API and its files on free ports of loopback, until the end of the ``with``."""
    with hosted(fake.app(), fake.files_app()) as (fake.port, fake.files_port):
        yield fake
