"""The DashScope API as its documentation and its client know it, and stricter: what it does not know, it refuses.

The prompt's first word says how an order goes, or ``next``: ``WORDS`` has the answers that decline, ``ODD`` those that
are odd. The key is quoted wherever there is room for it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from aiohttp import web

from safelight.providers.noop import mp4, png

KEY = "sk-canary-7c20-dashscope"

_SIZE = re.compile(r"\d+\*\d+|[124]K")
_RESOLUTION = re.compile(r"\d+P|[124]K")
_PROMPTED = {"prompt", "negative_prompt"}
_COMMON = {"seed", "prompt_extend", "watermark"}
_PICTURE = _COMMON | {"size", "n", "style", "thinking_mode"}
_CLIP = _COMMON | {"size", "resolution", "ratio", "duration", "audio", "shot_type"}


class Api(msgspec.Struct, frozen=True):
    """What one address takes. ``required``: inputs that must be there."""

    inputs: set[str]
    parameters: set[str]
    required: set[str]
    is_task: bool = True
    makes: str = "results"


APIS = {
    "text2image/image-synthesis": Api(_PROMPTED | {"ref_img"}, _PICTURE, {"prompt"}),
    "image2image/image-synthesis": Api(
        _PROMPTED | {"images", "base_image_url", "mask_image_url", "function"}, _PICTURE, {"prompt"}
    ),
    "image-generation/generation": Api(
        {"messages"}, _PICTURE | {"negative_prompt", "is_async"}, {"messages"}, makes="choices"
    ),
    "multimodal-generation/generation": Api(
        {"messages"}, _PICTURE | {"negative_prompt"}, {"messages"}, is_task=False, makes="choices"
    ),
    "video-generation/video-synthesis": Api(
        _PROMPTED | {"img_url", "media", "reference_urls", "audio_url", "template", "extend_prompt", "function"},
        _CLIP,
        {"prompt"},
        makes="video_url",
    ),
    "image2video/video-synthesis": Api(
        _PROMPTED | {"first_frame_url", "last_frame_url", "template", "extend_prompt", "function"},
        _CLIP,
        {"prompt", "first_frame_url"},
        makes="video_url",
    ),
}

WORDS: dict[str, tuple[int, str, dict[str, str]]] = {
    "refused": (400, "DataInspectionFailed", {}),
    "refused2": (400, "data_inspection_failed", {}),
    "infringing": (400, "IPInfringementSuspect", {}),
    "badinput": (400, "InvalidParameter", {}),
    "badimage": (400, "InvalidParameter.DataInspection", {}),
    "unfetched": (400, "InvalidURL", {}),
    "nokey": (401, "InvalidApiKey", {}),
    "denied": (403, "Model.AccessDenied", {}),
    "nomodel": (404, "ModelNotFound", {}),
    "debt": (400, "Arrearage", {}),
    "overdue": (429, "PostpaidBillOverdue", {}),
    "freetier": (403, "AllocationQuota.FreeTierOnly", {}),
    "allocation": (429, "Throttling.AllocationQuota", {}),
    "often": (429, "Throttling.RateQuota", {"Retry-After": "7"}),
    "soon": (429, "Throttling.RateQuota", {"Retry-After": "1"}),
    "oftener": (429, "Throttling", {}),
    "bare429": (429, "", {}),
    "broken": (503, "ModelUnavailable", {}),
    "internal": (500, "InternalError.Algo", {}),
    "serving": (400, "ModelServingError", {}),
    "timedout400": (400, "RequestTimeOut", {}),
    "timedout": (500, "InternalError.Timeout", {}),
    "slow": (408, "RequestTimeOut", {}),
}
ODD: dict[str, tuple[int, str]] = {
    "gateway": (504, "<html>504</html>"),
    "page": (200, "<html>hello</html>"),
    "empty": (200, ""),
    "list": (200, "[]"),
    "nothing": (200, '{"request_id": "r"}'),
    "outage200": (200, '{"code": "InternalError", "message": "{key}"}'),
    "refusal200": (200, '{"code": "DataInspectionFailed", "message": "no, {key}"}'),
    "strange200": (200, '{"code": "NoSuchWord", "message": "no"}'),
}


class Sent(msgspec.Struct, kw_only=True):
    """An order as it came."""

    api: str
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def input(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["input"]
        return found

    @property
    def parameters(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["parameters"]
        return found

    @property
    def content(self) -> list[dict[str, Any]]:
        """Of a message."""
        found: list[dict[str, Any]] = self.input["messages"][0]["content"]
        return found

    @property
    def prompt(self) -> str:
        if "messages" in self.input:
            return str(next(part["text"] for part in self.content if "text" in part))
        return str(self.input["prompt"])


class Task(msgspec.Struct):
    id: str
    order: Sent
    ended: str | None = None


class Fake:
    """The server. ``sent`` has the orders that were read, ``taken`` counts those that it would bill.

    ``next`` is the word of the next order alone. While it ``is_held``, tasks are pending. ``states``: what the next
    questions about a task are answered with: a status word, an HTTP status, or what an ``output`` has besides the id.
    """

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.next: str | None = None
        self.is_held = False
        self.expires_next = False
        self.taken = 0
        self.asked = 0
        self.sent: list[Sent] = []
        self.headers: list[dict[str, str]] = []
        self.tasks: dict[str, Task] = {}
        self.states: list[str | int | dict[str, Any]] = []
        self.models = ["wan2.2-t2i-flash", "wan2.7-image", "qwen-image-plus", "wan2.6-t2v", "wan2.7-i2v"]
        self.port = 0

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.root}/api/v1"

    async def open(self) -> Fake:
        app = web.Application(middlewares=[self._with_key])
        app.router.add_post("/api/v1/services/aigc/{group}/{function}", self._order)
        app.router.add_get("/api/v1/tasks", self._list)
        app.router.add_get("/api/v1/tasks/{id}", self._task)
        app.router.add_post("/api/v1/tasks/{id}/cancel", self._cancel)
        app.router.add_get("/api/v1/models", self._models)
        app.router.add_get("/media/{name}", self._media)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def close(self) -> None:
        await self._runner.cleanup()

    @property
    def newest(self) -> Task:
        return next(reversed(self.tasks.values()))

    @web.middleware
    async def _with_key(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        told = request.headers.get("Authorization")
        if request.path.startswith("/media/"):
            if told is not None:
                return web.Response(status=400, text="the key went to a file's address")
        elif told != f"Bearer {self.key}":
            return self._error(401, "InvalidApiKey", "Invalid API-key provided.")
        answer: web.StreamResponse = await handler(request)
        answer.headers["X-Debug"] = self.key
        return answer

    async def _order(self, request: web.Request) -> web.StreamResponse:
        name = "{group}/{function}".format(**request.match_info)
        api, body = APIS.get(name), await request.json()
        if api is None:
            return self._error(404, "InvalidURL", "No such address.")
        if api.is_task != (request.headers.get("X-DashScope-Async") == "enable"):
            kind = "synchronous" if api.is_task else "asynchronous"
            return self._error(403, "AccessDenied", f"current user api does not support {kind} calls.")
        if (why := _misread(body, api)) is not None:
            return self._error(400, "InvalidParameter", why)
        order = Sent(api=name, body=body, headers=self.headers[-1])
        self.sent.append(order)
        word, self.next = self.next or order.prompt.split()[0], None
        if word in WORDS:
            status, code, headers = WORDS[word]
            return self._error(status, code, "It cannot be done.", headers)
        if word in ODD:
            status, text = ODD[word]
            return web.Response(status=status, text=text.replace("{key}", self.key))
        self.taken += 1
        task = Task(f"task-{len(self.sent)}", order)
        if word == "lost":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if not api.is_task:
            return self._json(200, {"output": self._made(task, word), "usage": _usage(order)})
        self.tasks[task.id] = task
        return self._json(200, {"output": {"task_id": task.id, "task_status": "PENDING"}})

    async def _task(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        id_ = request.match_info["id"]
        task = self.tasks.get(id_)
        said = self.states.pop(0) if self.states else None
        if isinstance(said, int):
            return self._error(said, "Throttling.RateQuota" if said == 429 else "Trouble", "No.", {"Retry-After": "2"})
        if isinstance(said, dict):
            return self._json(200, {"output": {"task_id": id_, **said}, "usage": None})
        if task is None:
            return self._json(200, {"output": {"task_id": id_, "task_status": "UNKNOWN"}})
        status = said or task.ended or ("PENDING" if self.is_held else "SUCCEEDED")
        output: dict[str, Any] = {"task_id": id_, "task_status": status, "submit_time": "2026-01-02 03:04:05.678"}
        if status.startswith("FAILED"):
            words = {"code": status.partition(":")[2], "message": f"It failed for {self.key}."}
            return self._json(200, {"output": output | {"task_status": "FAILED"} | words})
        if status != "SUCCEEDED":
            return self._json(200, {"output": output})
        task.ended = status
        made = self._made(task, task.order.prompt.split()[0])
        return self._json(200, {"output": output | made, "usage": _usage(task.order)})

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        task = self.tasks.get(request.match_info["id"])
        if task is None or task.ended or not self.is_held:
            return self._error(400, "UnsupportedOperation", "Failed to cancel the task: it is not pending.")
        task.ended = "CANCELED"
        return self._json(200, {})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """No address is in it, and no prompt."""
        unknown = request.query.keys() - {"page_no", "page_size", "start_time", "end_time", "model_name", "status"}
        if unknown:
            return self._error(400, "InvalidParameter", f"Unknown: {sorted(unknown)}")
        listed = [{"task_id": task.id, "status": task.ended or "PENDING"} for task in self.tasks.values()]
        return self._json(200, {"data": listed, "total": len(listed), "page_no": 1, "page_size": 10, "total_page": 1})

    async def _models(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("model")
        found = [{"model": name, "name": name.title()} for name in self.models if wanted in (None, name)]
        return self._json(200, {"output": {"total": len(found), "page_no": 1, "page_size": 1, "models": found}})

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if request.query["Signature"] == "ended":
            return web.Response(status=403)
        return web.Response(body=png() if request.match_info["name"].endswith("png") else mp4(2))

    def _made(self, task: Task, word: str) -> dict[str, Any]:
        order = task.order
        makes, prompt = APIS[order.api].makes, order.prompt
        signature = "ended" if self.expires_next else str(len(self.headers))
        self.expires_next = False
        ending = "mp4" if makes == "video_url" else "png"
        count = 1 if makes == "video_url" else order.parameters.get("n", 4)
        urls = [f"{self.root}/media/{task.id}-{at}.{ending}?Signature={signature}" for at in range(count)]
        prompts = {"orig_prompt": prompt}
        if order.parameters.get("prompt_extend"):
            prompts["actual_prompt"] = f"{prompt}, in the best light"
        if word == "blank":
            return {makes: []}
        if makes == "choices":
            content = [{"image": url} for url in urls]
            return {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": content}}]}
        if makes == "video_url":
            return {"video_url": urls[0], **prompts}
        results = [{"url": url, **prompts} for url in urls]
        metrics = {"TOTAL": count, "SUCCEEDED": count, "FAILED": 0}
        if word == "partial":
            results = [{"code": "DataInspectionFailed", "message": f"no, {self.key}"}]
        return {"results": results, "task_metrics": metrics}

    def _error(self, status: int, code: str, words: str, headers: dict[str, str] | None = None) -> web.StreamResponse:
        return self._json(status, {"code": code, "message": f"{words} (key {self.key})"}, headers)

    def _json(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> web.StreamResponse:
        told = {"request_id": f"request-{len(self.headers)}", **body}
        return web.Response(
            status=status, text=json.dumps(told), content_type="application/json", headers={**(headers or {})}
        )


def _usage(order: Sent) -> dict[str, Any]:
    if APIS[order.api].makes == "video_url":
        return {"video_count": 1, "video_duration": order.parameters["duration"], "video_ratio": "64*64", "SR": 720}
    return {"image_count": order.parameters.get("n", 4), "size": "64*64"}


def _misread(body: Any, api: Api) -> str | None:
    """Why an order is refused as it is written."""
    if not isinstance(body, dict) or body.keys() != {"model", "input", "parameters"}:
        return f"It has {sorted(body)}."
    given, parameters = body["input"], body["parameters"]
    unknown = (given.keys() - api.inputs) | (parameters.keys() - api.parameters)
    if unknown or not api.required <= given.keys():
        return f"Unknown: {sorted(unknown)}, or missing: {sorted(api.required - given.keys())}"
    if "messages" in given and (why := _misread_messages(given["messages"])) is not None:
        return why
    if _misread_pictures(given):
        return "A picture is no address."
    return next(_misread_parameters(parameters), None)


def _misread_messages(messages: Any) -> str | None:
    if len(messages) != 1 or messages[0]["role"] != "user":
        return "One message of the user is taken."
    content = messages[0]["content"]
    if [part for part in content if part.keys() not in ({"text"}, {"image"})]:
        return "A part has a text or an image."
    if len([part for part in content if "text" in part]) != 1 or _misread_pictures(
        {"images": [part["image"] for part in content if "image" in part]}
    ):
        return "There is one text, and images are addresses."
    return None


def _misread_pictures(given: dict[str, Any]) -> bool:
    single = [given[name] for name in given if name.endswith("_url") or name == "ref_img"]
    lists = [each for name in ("images", "reference_urls") for each in given.get(name, [])]
    media = given.get("media", [])
    if [each for each in media if each.keys() != {"type", "url"}]:
        return True
    urls = [*single, *lists, *(each["url"] for each in media)]
    return not all(isinstance(url, str) and re.match("data:image/|https?://", url) for url in urls)


def _misread_parameters(parameters: dict[str, Any]) -> Any:
    words = {"size": _SIZE, "resolution": _RESOLUTION, "ratio": re.compile(r"\d+:\d+")}
    yield from (name for name in words.keys() & parameters if not words[name].fullmatch(str(parameters[name])))
    for name in parameters.keys() & {"prompt_extend", "watermark", "audio"}:
        if not isinstance(parameters[name], bool):
            yield f"{name} is a boolean"
    for name, most in (("seed", 2**31 - 1), ("n", 4), ("duration", 15)):
        value = parameters.get(name, 1)
        if type(value) is not int or not 0 <= value <= most:
            yield f"{name} is 0 to {most}"
