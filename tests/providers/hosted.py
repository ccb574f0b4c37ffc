"""The hosted API as far as its public client knows it, and stricter: a field that it does not know is refused.

The prompt's first word says how it goes, or ``next``: ``WORDS`` has the answers that decline, ``_order`` the rest.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from safelight.providers.noop import mp4, png

KEY = "sk_canary-51d7-hosted"
_FIELDS = {
    "images": {"model", "prompt", "aspect_ratio", "resolution", "output_format", "images"},
    "videos": {"model", "prompt", "aspect_ratio", "resolution", "duration", "sound", "images"},
}
_IMAGE_FIELDS = {"images": {"url"}, "videos": {"url", "role"}}
_DELETES_AT = "2030-01-02T03:04:05.000Z"


def _error(code: str, message: str, param: str | None = None) -> str:
    return json.dumps({"error": {"code": code, "message": message, "param": param, "type": "invalid_request_error"}})


WORDS: dict[str, tuple[int, str, dict[str, str]]] = {
    "refused": (422, _error("content_policy_violation", "No.", "prompt"), {}),
    "broke": (402, _error("quota_exceeded", "No funds for {key}."), {}),
    "often": (429, _error("rate_limit", "Slow down."), {"Retry-After": "7"}),
    "soon": (429, _error("rate_limit", "Slow down, {key}."), {"Retry-After": "1"}),
    "badprompt": (400, _error("invalid_parameter", "Odd prompt.", "prompt"), {}),
    "badimage": (400, _error("invalid_parameter", "No image there.", "images[0].url"), {}),
    "badratio": (400, _error("invalid_parameter", "No such ratio.", "aspect_ratio"), {}),
    "text": (400, json.dumps({"error": "in words alone"}), {}),
    "bare": (403, "nothing that is JSON", {}),
    "busy": (503, _error("overloaded", "Later."), {"Retry-After": "3"}),
    "broken": (503, _error("overloaded", "Later, {key}."), {}),
    "gateway": (504, "<html>504</html>", {"Content-Type": "text/html"}),
    "odd": (200, "[]", {}),
    "nothing": (200, '{"id": "a", "status": "completed", "data": []}', {}),
    "nulls": (200, '{"id": "a", "status": "completed", "data": null, "usage": null}', {}),
    "noaddress": (200, '{"id": "a", "status": "completed", "data": [null, {"url": null}, {"url": ""}]}', {}),
    "badurl": (200, '{"id": "a", "status": "completed", "data": [{"url": "http://[::1"}]}', {}),
    "failed200": (200, '{"id": "a", "status": "failed", "error": {"code": "content_policy_violation"}}', {}),
    "outage200": (200, _error("service_unavailable", "Later, {key}."), {}),
    "refusal200": (200, _error("content_policy_violation", "No, {key}."), {}),
}

MODELS: list[dict[str, Any]] = [
    {
        "id": "picture-1",
        "name": "Picture 1",
        "type": "image",
        "created_at": "2026-01-02T03:04:05.000Z",
        "supported_aspect_ratios": ["1:1", "16:9"],
        "supported_resolutions": ["1K", "2K"],
        "supported_durations": [],
        "supported_references": {"reference_image": 2},
        "supports_sound": False,
        "pricing": {
            "currency": "USD",
            "rates": [
                {"billable_unit": "image", "unit_price": "0.03", "resolution": "1K", "sound": "not_applicable"},
                {"billable_unit": "image", "unit_price": "0.045", "resolution": None, "sound": "not_applicable"},
            ],
        },
    },
    {
        "id": "clip-1",
        "name": "Clip 1",
        "type": "video",
        "created_at": "2026-01-02T03:04:05.000Z",
        "supported_aspect_ratios": ["16:9", "1:1"],
        "supported_resolutions": ["720p", "1K", "2K"],
        "supported_durations": [2, 4],
        "supported_references": {"first_frame": 1},
        "supports_sound": True,
        "pricing": {
            "currency": "USD",
            "rates": [
                {"billable_unit": "video_second", "unit_price": "0.05", "resolution": None, "sound": "sound_off"},
                {"billable_unit": "video_second", "unit_price": "0.07", "resolution": None, "sound": "sound_on"},
            ],
        },
    },
]


class Hosted:
    """The server. ``sent`` has the body of each order, ``headers`` the headers of each request, ``taken`` counts jobs.

    ``next`` is the word of the next order alone. Videos that are asked for while it ``is_held`` are pending.
    """

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.next: str | None = None
        self.is_held = False
        self.expires_next = False
        self.taken = 0
        self.sent: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.balance = "12.34"
        self.statuses: list[str | int | dict[str, Any]] = []
        """What the next questions about a video are answered with: a status word, members, or an HTTP status."""
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> Hosted:
        app = web.Application(middlewares=[self._with_key])
        app.router.add_post("/v2/{type}/generations", self._order)
        app.router.add_get("/v2/videos/generations/{id}", self._video)
        app.router.add_get("/v2/models", self._models)
        app.router.add_get("/v2/models/{id}", self._model)
        app.router.add_get("/v2/billing/balance", self._balance)
        app.router.add_get("/media/{name}", self._media)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def close(self) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _with_key(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        is_open = request.path.startswith("/media/")
        if is_open == ("Authorization" in request.headers) or not (
            is_open or request.headers["Authorization"] == f"Bearer {self.key}"
        ):
            return _json(401, _error("invalid_api_key", "Invalid API key."))
        answer: web.StreamResponse = await handler(request)
        answer.headers["X-Request-Id"] = f"hosted-{len(self.headers)}"
        return answer

    async def _order(self, request: web.Request) -> web.StreamResponse:
        type_, body = request.match_info["type"], await request.json()
        self.sent.append(body)
        unknown = body.keys() - _FIELDS[type_]
        for image in body.get("images", []):
            unknown |= image.keys() ^ _IMAGE_FIELDS[type_]
        if unknown or not {"model", "prompt"} <= body.keys():
            return _json(
                400, _error("invalid_parameter", f"Unknown or missing: {sorted(unknown)}.", min(unknown, default=None))
            )
        word, self.next = self.next or body["prompt"].split()[0], None
        if word == "lost":
            self.taken += 1
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if word in WORDS:
            status, text, headers = WORDS[word]
            return _json(status, text.replace("{key}", self.key), headers)
        self.taken += 1
        id_ = f"gen-{len(self.sent)}"
        if type_ == "videos":
            return _json(200, json.dumps({"id": id_, "status": "pending"}))
        return _json(200, self._completed(id_, "image", "image/png", "", '"quantity": 1, "total_cost": 0.0450000001'))

    async def _video(self, request: web.Request) -> web.StreamResponse:
        id_, usual = request.match_info["id"], "pending" if self.is_held else "completed"
        status = self.statuses.pop(0) if self.statuses else usual
        if isinstance(status, int):
            return _json(status, _error("not_found" if status == 404 else "trouble", "No."), {"Retry-After": "9"})
        if isinstance(status, dict):
            return _json(200, json.dumps({"id": id_, **status}))
        if status.startswith("failed"):
            error = {"code": status.partition(":")[2], "message": "It failed."}
            return _json(200, json.dumps({"id": id_, "status": "failed", "error": error}))
        if status != "completed":
            return _json(200, json.dumps({"id": id_, "status": status}))
        facts = '"duration": 2.0, "fps": 8.0, "has_sound": false, '
        return _json(
            200, self._completed(id_, "video_second", "video/mp4", facts, '"quantity": 2.5, "total_cost": 0.125')
        )

    def _completed(self, id_: str, unit: str, mime_type: str, facts: str, money: str) -> str:
        url = f"{self.base_url}/media/{id_}.{mime_type[-3:]}?sig={'ended' if self.expires_next else len(self.headers)}"
        self.expires_next = False
        return f"""{{"id": "{id_}", "status": "completed", "model": "m", "data": [{{"url": "{url}", {facts}
            "mime_type": "{mime_type}", "deletes_at": "{_DELETES_AT}", "width": 64, "height": 64}}],
            "usage": {{"billable_unit": "{unit}", "unit_price": 0.05, {money}}}}}"""

    async def _models(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("type")
        return _json(200, json.dumps([each for each in MODELS if wanted in (None, each["type"])]))

    async def _model(self, request: web.Request) -> web.StreamResponse:
        found = [each for each in MODELS if each["id"] == request.match_info["id"]]
        return _json(200, json.dumps(found[0])) if found else _json(404, _error("not_found", "No such model."))

    async def _balance(self, _: web.Request) -> web.StreamResponse:
        return _json(200, json.dumps({"balance": self.balance, "currency": "USD"}))

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if request.query["sig"] == "ended":
            return web.Response(status=403)
        is_picture = request.match_info["name"].endswith("png")
        return web.Response(body=png() if is_picture else mp4(2))


def _json(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text, headers={"Content-Type": "application/json", **(headers or {})})
