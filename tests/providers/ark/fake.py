"""ModelArk as its official client knows it, and stricter: an unknown field is refused, and so is a word of none.

The client sends every field that it was not given as null, so nulls are nothing here.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

from aiohttp import web

from safelight.providers.noop import mp4, png
from tests.providers.ark.faults import FAULTS, body_of

KEY = "ark-canary-77c1"
ROOT = "/api/v3"
_SIZE = re.compile(r"[1-9]\d*x[1-9]\d*|[1-4]K")
_IMAGE_FIELDS = {"model", "prompt", "image", "response_format", "size", "seed", "guidance_scale", "watermark"} | {
    "optimize_prompt", "optimize_prompt_options", "sequential_image_generation", "sequential_image_generation_options",
    "tools", "output_format", "layer_decomposition", "stream",
}  # fmt: skip
_TASK_FIELDS = {"model", "content", "safety_identifier", "callback_url", "return_last_frame", "service_tier"} | {
    "execution_expires_after", "priority", "generate_audio", "draft", "camera_fixed", "watermark", "seed", "resolution",
    "ratio", "duration", "frames", "tools", "output_format", "omni_reference_task_type",
}  # fmt: skip
_ENDED = ("succeeded", "failed", "cancelled", "expired")


class Refusal(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        self.status, self.code, self.message, self.param = status, code, message, param


class FakeArk:
    """``orders`` are the bodies of orders without their nulls, ``taken`` counts what it would bill, ``questions`` the
    requests about tasks. ``next`` is the fault of the next order; ``answers`` those of the next questions, each one a
    status and a body or None for a good one. A task under way is ``running`` once, and then done; held, ``held``.
    """

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.next: str | None = None
        self.held: str | None = None
        self.expires_next = False
        self.picture = png()
        self.taken = self.questions = 0
        self.orders: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.states: list[dict[str, Any]] = []
        """What the next questions that are answered well tell of a task, merged into it."""
        self.answers: list[tuple[int, Any] | None] = []
        self.on_delete: list[str] = []
        """What a task's status becomes right before the next requests to delete it are read."""
        self.lists = True
        self.models: list[str] | None = ["seedream-4-5-251128", "seedance-1-5-pro-251215"]
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{ROOT}"

    async def open(self) -> FakeArk:
        app = web.Application(middlewares=[self._with_key], client_max_size=80 * 1024 * 1024)
        app.router.add_post(f"{ROOT}/images/generations", self._images)
        app.router.add_post(f"{ROOT}/contents/generations/tasks", self._create)
        app.router.add_get(f"{ROOT}/contents/generations/tasks", self._list)
        app.router.add_get(f"{ROOT}/contents/generations/tasks/{{id}}", self._get)
        app.router.add_delete(f"{ROOT}/contents/generations/tasks/{{id}}", self._delete)
        app.router.add_get(f"{ROOT}/models", self._models)
        app.router.add_get("/media/{name}", self._media)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def close(self) -> None:
        await self._runner.cleanup()

    def callback(self) -> bytes:
        """What it posts when the newest task's status changes: the task."""
        return json.dumps(self._shown(list(self.tasks.values())[-1])).encode()

    @web.middleware
    async def _with_key(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        is_media = request.path.startswith("/media/")
        given = request.headers.get("Authorization")
        if given != (None if is_media else f"Bearer {self.key}"):
            return self._refused(Refusal(401, "AuthenticationError", "The API key is missing or wrong."))
        try:
            answer: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            answer = self._refused(refusal)
        answer.headers["X-Request-Id"] = f"ark-{len(self.headers)}"
        return answer

    def _refused(self, refusal: Refusal) -> web.Response:
        message = f"{refusal.message} Request of {self.key}."
        told = {"code": refusal.code, "message": message, "param": refusal.param, "type": "BadRequest"}
        return web.json_response({"error": told}, status=refusal.status)

    async def _received(self, request: web.Request, known: set[str]) -> tuple[dict[str, Any], web.Response | None]:
        """An order without its nulls, and what it comes to if it is to come to nothing."""
        body = {name: value for name, value in (await request.json()).items() if value is not None}
        self.orders.append(body)
        fault, self.next = self.next, None
        if fault == "drop":
            self.taken += 1
            return body, None
        if fault is not None:
            status, _, headers = FAULTS[fault]
            text = body_of(FAULTS[fault], self.key)
            return body, web.Response(status=status, text=text, headers={"Content-Type": "application/json", **headers})
        if unknown := sorted(body.keys() - known):
            raise Refusal(400, "InvalidParameter", f"The parameter `{unknown[0]}` is not known.", unknown[0])
        if not isinstance(body.get("model"), str):
            raise Refusal(400, "MissingParameter.model", "model is missing.", "model")
        self.taken += 1
        return body, None

    async def _images(self, request: web.Request) -> web.StreamResponse:
        is_dropped = self.next == "drop"
        body, fault = await self._received(request, _IMAGE_FIELDS)
        if fault is not None:
            return fault
        if is_dropped:
            return _dropped(request)
        if _SIZE.fullmatch(body.get("size", "2K")) is None:
            raise Refusal(400, "InvalidParameter", "The parameter `size` is not valid.", "size")
        if body.get("response_format", "url") not in ("url", "b64_json"):
            raise Refusal(400, "InvalidParameter", "The parameter `response_format` is not valid.", "response_format")
        item: dict[str, Any] = {"size": "64x64", "url": None, "b64_json": None, "output_format": "png"}
        if body.get("response_format", "url") == "url":
            item["url"] = self._address(f"{len(self.orders)}.png")
        else:
            item["b64_json"] = base64.b64encode(self.picture).decode()
        usage = {"generated_images": 1, "input_images": 0, "output_tokens": 16280, "total_tokens": 16280}
        told = {"model": body["model"], "created": 1795956585, "data": [item], "error": None}
        return web.json_response({**told, "usage": {**usage, "tool_usage": {"web_search": 0}, "note": self.key}})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        is_dropped = self.next == "drop"
        body, fault = await self._received(request, _TASK_FIELDS)
        if fault is not None:
            return fault
        self._check_task(body)
        number = len(self.orders)
        task: dict[str, Any] = {
            "id": f"cgt-20261129{number:06d}-abcde",
            "status": "queued",
            "created_at": int(time.time()),
            "updated_at": int(time.time()),
            "service_tier": body.get("service_tier", "default"),
            "execution_expires_after": body.get("execution_expires_after", 172800),
            "generate_audio": body.get("generate_audio", True),
            "seed": body.get("seed", 4711),
            "error": None,
            "content": None,
            "usage": None,
            **{name: body[name] for name in ("model", "resolution", "ratio", "duration") if name in body},
            "safety_identifier": body.get("safety_identifier"),
        }
        self.tasks[task["id"]] = task
        if is_dropped:
            return _dropped(request)
        return web.json_response({"id": task["id"], "safety_identifier": task["safety_identifier"]})

    def _check_task(self, body: dict[str, Any]) -> None:
        content = body.get("content")
        if not isinstance(content, list) or not content:
            raise Refusal(400, "MissingParameter.content", "content is missing.", "content")
        roles = []
        for item in content:
            if item.keys() not in ({"type", "text"}, {"type", "image_url"}, {"type", "image_url", "role"}):
                raise Refusal(400, "InvalidParameter", "The parameter `content` is not valid.", "content")
            if item["type"] == "image_url":
                roles.append(item.get("role", "first_frame"))
                if not item["image_url"]["url"].startswith(("data:image/", "http")):
                    raise Refusal(400, "InvalidParameter", "The parameter `content` is not valid.", "content")
        if "reference_image" in roles and {"first_frame", "last_frame"} & set(roles):
            raise Refusal(400, "InvalidParameter", "Frames and references exclude each other.", "content")
        if body.get("duration") is not None and not isinstance(body["duration"], int):
            raise Refusal(400, "InvalidParameter", "The parameter `duration` is not valid.", "duration")
        if body.get("service_tier", "default") not in ("default", "flex"):
            raise Refusal(400, "InvalidParameter", "The parameter `service_tier` is not valid.", "service_tier")
        if not 3600 <= body.get("execution_expires_after", 172800) <= 259200:
            raise Refusal(
                400, "InvalidParameter", "execution_expires_after: 3600 to 259200.", "execution_expires_after"
            )
        if len(body.get("safety_identifier", "")) > 64:
            raise Refusal(400, "InvalidParameter", "safety_identifier is too long.", "safety_identifier")

    def _asked(self) -> web.Response | None:
        self.questions += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            return None
        status, body = answer
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html")
        return web.json_response(body, status=status, headers={"Retry-After": "9"} if status == 429 else {})

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if (answer := self._asked()) is not None:
            return answer
        task = self._known(request)
        return web.json_response(self._shown(self._moved(task)))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if (answer := self._asked()) is not None:
            return answer
        if not self.lists:
            raise Refusal(404, "NotFound", "There is no such path.")
        query = request.query
        known = {"page_num", "page_size", "filter.status", "filter.task_ids", "filter.model", "filter.service_tier"}
        number, size = int(query.get("page_num", 1)), int(query.get("page_size", 20))
        if unknown := set(query) - known or not (1 <= number <= 500 and 1 <= size <= 500):
            raise Refusal(400, "InvalidParameter", f"Not valid: {unknown}.")
        ids, tier = query.getall("filter.task_ids", []), query.get("filter.service_tier", "default")
        found = [
            task
            for task in reversed(self.tasks.values())
            if task["service_tier"] == tier and (not ids or task["id"] in ids)
        ]
        if "filter.status" in query:
            found = [task for task in found if task["status"] == query["filter.status"]]
        page = found[(number - 1) * size : number * size]
        shown = [self._shown(self._moved(task) if ids else task) for task in page]
        return web.json_response({"total": len(found), "items": shown})

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        task = self._known(request)
        if self.on_delete:
            task["status"] = self.on_delete.pop(0)
        match task["status"]:
            case "queued":
                task["status"] = "cancelled"
            case "running":
                raise Refusal(409, "InvalidAction.RunningTaskDeletion", "It is currently running.")
            case "cancelled":
                raise Refusal(409, "InvalidAction", "It is cancelled.")
            case _:
                self.deleted.append(task["id"])
                del self.tasks[task["id"]]
        return web.json_response({})

    async def _models(self, _: web.Request) -> web.StreamResponse:
        if self.models is None:
            raise Refusal(404, "NotFound", "There is no such path.")
        return web.json_response({"object": "list", "data": [{"id": each, "object": "model"} for each in self.models]})

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if request.query["sig"] == "ended":
            return web.Response(status=403, text="<Error>AccessDenied</Error>")
        return web.Response(body=self.picture if request.match_info["name"].endswith("png") else mp4(2))

    def _known(self, request: web.Request) -> dict[str, Any]:
        task = self.tasks.get(request.match_info["id"])
        if task is None:
            raise Refusal(404, "NotFound.task", "There is no such task.")
        return task

    def _moved(self, task: dict[str, Any]) -> dict[str, Any]:
        """The task, a step further than when it was last asked about."""
        if self.states:
            task |= self.states.pop(0)
        elif task["status"] not in _ENDED:
            word = self.held or ("succeeded" if task["status"] == "running" else "running")
            task["status"] = word
        return task

    def _shown(self, task: dict[str, Any]) -> dict[str, Any]:
        shown = dict(task)
        if task["status"] == "succeeded" and task["content"] is None:
            url = self._address(f"{task['id']}.mp4")
            shown["content"] = {"video_url": url, "last_frame_url": None, "file_url": None}
            shown["usage"] = {"completion_tokens": 108900, "total_tokens": 108900}
            shown["framespersecond"] = 24
        return shown

    def _address(self, name: str) -> str:
        signature = "ended" if self.expires_next else str(len(self.headers))
        self.expires_next = False
        return f"http://127.0.0.1:{self.port}/media/{name}?sig={signature}"


def _dropped(request: web.Request) -> web.Response:
    """The order was taken, and its answer is lost."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()
