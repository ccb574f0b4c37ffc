"""A server of the WebUI's API in each flavor's dialect, that misbehaves when it is told to.

It runs in a thread of its own, so whoever uses it may block. It is stricter than the real ones: a field that none of
them knows is refused. One order is made at a time, and the next waits, as it is there.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from tests.providers.a1111.faults import FAULTS, ODD, Fault
from tests.providers.a1111.media import clip, picture
from tests.support.hosting import hosted

_COMMON = {
    "prompt", "negative_prompt", "styles", "seed", "subseed", "subseed_strength", "seed_resize_from_h",
    "seed_resize_from_w", "sampler_name", "sampler_index", "scheduler", "batch_size", "n_iter", "steps", "cfg_scale",
    "distilled_cfg_scale", "width", "height", "restore_faces", "tiling", "do_not_save_samples", "do_not_save_grid",
    "eta", "s_churn", "s_tmax", "s_tmin", "s_noise", "override_settings", "override_settings_restore_afterwards",
    "denoising_strength", "script_name", "script_args", "send_images", "save_images", "alwayson_scripts",
    "force_task_id", "infotext", "enable_hr", "hr_scale", "hr_upscaler", "hr_second_pass_steps", "hr_resize_x",
    "hr_resize_y", "hr_checkpoint_name", "hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt",
    "firstphase_width", "firstphase_height", "refiner_checkpoint", "refiner_switch_at", "comments",
}  # fmt: skip
_IMG2IMG = {
    "init_images", "resize_mode", "image_cfg_scale", "mask", "mask_image", "mask_blur", "inpainting_fill",
    "inpaint_full_res", "inpaint_full_res_padding", "inpainting_mask_invert", "initial_noise_multiplier",
    "include_init_images",
}  # fmt: skip
_SD_SERVER = {
    "prompt", "negative_prompt", "width", "height", "steps", "cfg_scale", "seed", "batch_size", "n_iter", "clip_skip",
    "sampler_name", "scheduler", "lora", "extra_images", "init_images", "mask", "denoising_strength", "resize_mode",
    "enable_hr", "hr_scale", "send_images", "save_images",
}  # fmt: skip
_JOB = {
    "generate": {
        "type", "priority", "prompt", "negative_prompt", "width", "height", "width_before", "height_before", "steps",
        "cfg_scale", "seed", "batch_size", "batch_count", "sampler_name", "denoising_strength", "inputs", "inits",
        "extra", "override_settings", "save_images", "resize_mode_before", "resize_name_before",
    },
    "video": {
        "type", "priority", "engine", "model", "prompt", "negative", "width", "height", "frames", "steps", "sampler",
        "seed", "guidance_scale", "init_image", "last_image", "fps", "format", "save_video",
    },
    "ltx": {
        "type", "priority", "model", "prompt", "negative", "width", "height", "frames", "steps", "sampler", "seed",
        "condition_image", "condition_last", "fps", "format", "save_video", "audio_enable",
    },
}  # fmt: skip
_INTEGERS = ("width", "height", "steps", "seed", "batch_size", "n_iter", "frames", "fps")
MODELS = [
    {"title": "fake-model.safetensors [0123456789]", "model_name": "fake-model", "hash": "0123456789",
     "sha256": "0123456789" + "ab" * 27, "filename": "/models/fake-model.safetensors", "config": None},
    {"title": "sdxl/other.safetensors [fedcba9876]", "model_name": "sdxl_other", "hash": "fedcba9876",
     "sha256": "fedcba9876" + "cd" * 27, "filename": "/models/sdxl/other.safetensors", "config": None},
]  # fmt: skip
SAMPLERS = [
    {"name": "Euler a", "aliases": ["k_euler_a"], "options": {}},
    {"name": "DPM++ 2M", "aliases": [], "options": {}},
]
ENGINES = [{"engine": "WAN Video", "models": ["fake-clip", "WAN 2.1 1.3B"], "model_details": []}]
LOADED = MODELS[1]


class Call(msgspec.Struct):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None

    @property
    def is_order(self) -> bool:
        return self.method == "POST" and self.path.rpartition("/")[2] in ("txt2img", "img2img", "jobs")


CALL = web.RequestKey("call", Call)
HOW = web.RequestKey("how", str)


class Refusal(Exception):
    """An answer other than success."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class FakeServer:
    """``calls`` are the requests, newest last; ``jobs`` by id. ``taken`` orders were made, or would be.

    ``states``: what a job is told to be, one for each question, before it is done; ``states_of_next``: the next alone.
    ``info``: what an answer's info has
    besides. ``extra_images``: pictures of an answer, before and behind the one that was ordered. ``answers``: what
    paths answer instead of their own; ``missing`` are not there.
    """

    def __init__(self, flavor: str = "a1111", *, key: str | None = "pw-0123456789", user: str = "me") -> None:
        self.flavor, self.key, self.user = flavor, key, user
        self.calls: list[Call] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.taken = 0
        self.states: list[dict[str, Any]] = [{"status": "pending"}, {"status": "running", "progress": 0.5}]
        self.states_of_next: list[dict[str, Any]] | None = None
        self.info: dict[str, Any] = {}
        self.extra_images: tuple[list[str], list[str]] = ([], [])
        self.samples_format = "png"
        self.answers: dict[str, Fault] = {}
        self.is_held = False
        self.missing: tuple[str, ...] = ("/internal/progress",) if flavor in ("sdnext", "sd-server") else ()
        self.state: dict[str, Any] = self._idle()
        self.task: str | None = None
        self.progress_of_others: float | None = None
        self.port = 0
        self._faults: list[str | Fault] = []
        self._numbers = itertools.count(1)
        self._one = asyncio.Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What the connection's key refers to."""
        return {} if self.key is None else {"FAKE_KEY": self.key}

    def connection(self, name: str = "fake", **more: Any) -> dict[str, Any]:
        """An entry of ``[[connections]]`` that leads here."""
        entry = {"name": name, "kind": "a1111", "base_url": self.base_url, "flavor": self.flavor, **more}
        return entry if self.key is None else {"user": self.user, **entry, "key": "env:FAKE_KEY"}

    def behave(self, *faults: str | Fault) -> None:
        """The next orders get these, one each; then all is well again."""
        self._faults.extend(faults)

    def orders(self) -> list[Call]:
        return [call for call in self.calls if call.is_order]

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 * 1024 * 1024, middlewares=[self._middleware])
        v1, v2, add = "/sdapi/v1", "/sdapi/v2", app.router
        add.add_post(f"{v1}/txt2img", self._picture)
        add.add_post(f"{v1}/img2img", self._picture)
        for name in ("sd-models", "samplers", "options", "scripts", "schedulers", "progress"):
            add.add_get(f"{v1}/{name}", self._list)
        add.add_post(f"{v1}/interrupt", self._interrupt)
        add.add_post("/internal/progress", self._task)
        if self.flavor == "sdnext":
            add.add_post(f"{v2}/jobs", self._give)
            add.add_get(f"{v2}/jobs", self._jobs)
            add.add_get(f"{v2}/jobs/{{id}}", self._job)
            add.add_delete(f"{v2}/jobs/{{id}}", self._cancel)
            add.add_get(f"{v2}/jobs/{{id}}/images/{{index}}", self._file)
            add.add_get(f"{v2}/video/engines", self._list)
        return app

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.json() if request.can_read_body else None
        call = Call(request.method, request.path, dict(request.query), headers, body)
        self.calls.append(call)
        request[CALL] = call
        if request.path in self.missing:
            return self._answer(Fault(404, {"detail": "Not Found"}))
        if not self._is_open(request):
            return self._answer(FAULTS["auth"])
        if request.path in self.answers:
            return self._answer(self.answers[request.path])
        try:
            if call.is_order and self._faults and (told := await self._misbehaved(request)) is not None:
                return told
            return await handler(request)  # type: ignore[no-any-return]
        except Refusal as refusal:
            return self._answer(refusal.fault)
        except web.HTTPNotFound:
            return self._answer(Fault(404, {"detail": "Not Found"}))

    def _is_open(self, request: web.Request) -> bool:
        if self.key is None or self.flavor == "sd-server" or request.path.startswith("/internal/"):
            return True
        token = base64.b64encode(f"{self.user}:{self.key}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {token}"

    async def _misbehaved(self, request: web.Request) -> web.StreamResponse | None:
        fault = self._faults.pop(0)
        if isinstance(fault, Fault):
            return self._answer(fault)
        if fault in ("black", "stopped"):
            request[HOW] = fault
            return None
        if fault == "drop":  # the order is taken, and its answer lost
            self.taken += 1
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return self._answer((FAULTS | ODD)[fault])

    def _answer(self, fault: Fault) -> web.Response:
        """With the key wherever it fits, plain and as it is sent."""
        token = base64.b64encode(f"{self.user}:{self.key}".encode()).decode()
        is_text = isinstance(fault.body, str) and fault.status != 500
        text = fault.body if is_text or fault.body == "Internal Server Error" else json.dumps(fault.body)
        headers = {"Content-Type": "text/plain" if text is fault.body else "application/json", **fault.headers}
        quoted = text.replace("KEY", f"{self.key} {token}")
        return web.Response(text=quoted, status=fault.status, headers=headers)

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        call: Call = request[CALL]
        body, is_img2img = call.body, call.path.endswith("img2img")
        self._check_picture(body, is_img2img=is_img2img)
        async with self._one:
            self.taken += 1
            model = self._model(body)
            self._begin(body.get("force_task_id"))
            while self.is_held:
                await asyncio.sleep(0.01)
            self.state["interrupted"] = self.state["interrupted"] or request.get(HOW) == "stopped"
            self._end()
        seed = self._drawn(body)
        data = picture(body["width"], body["height"], seed, body["prompt"], is_black=request.get(HOW) == "black")
        before, behind = self.extra_images
        images = [*before, base64.b64encode(data).decode(), *behind]
        info = "" if self.flavor == "sd-server" else json.dumps(self._info(body, seed, model, len(before)) | self.info)
        told = {"images": images, "parameters": self._echo(body, is_img2img), "info": info}
        headers = {} if self.flavor == "sd-server" else {"X-Process-Time": "0.0421"}
        return web.json_response(told, headers=headers)

    def _check_picture(self, body: dict[str, Any], *, is_img2img: bool) -> None:
        if self.flavor == "sd-server":
            self._known(body, _SD_SERVER)
            if not body.get("prompt"):
                raise Refusal(Fault(400, {"error": "prompt required"}))
            if body["width"] <= 0 or body["height"] <= 0:
                raise Refusal(Fault(400, {"error": "width and height must be positive"}))
            return  # what is no picture, it drops
        self._known(body, _COMMON | (_IMG2IMG if is_img2img else set()))
        sampler = body.get("sampler_name") or body.get("sampler_index") or "Euler a"
        if sampler not in [name for each in SAMPLERS for name in (each["name"], *each["aliases"])]:
            raise Refusal(FAULTS["no_sampler"])
        if not is_img2img:
            return
        images = body.get("init_images")
        if not images:
            raise Refusal(FAULTS["no_init_image"])
        if len(images) > body.get("batch_size", 1):
            words = f"bad number of images passed: {len(images)}; expecting {body.get('batch_size', 1)} or less"
            raise Refusal(Fault(500, {"error": "RuntimeError", "detail": "", "body": "", "errors": words}))
        for image in images:
            self._readable(image)

    def _known(self, body: dict[str, Any], known: set[str]) -> None:
        for name, value in body.items():
            is_wrong = name in _INTEGERS and (not isinstance(value, int) or isinstance(value, bool))
            if name not in known or is_wrong:
                loc = {"loc": ["body", name], "msg": "it is not known, or of no such type", "type": "extra_forbidden"}
                raise Refusal(Fault(422, {"detail": [loc]}))

    def _readable(self, image: str) -> None:
        try:
            data = base64.b64decode(image.rpartition(",")[2], validate=True)
        except ValueError:
            data = b""
        if not data.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF")):
            raise Refusal(FAULTS["bad_picture"])

    def _model(self, body: dict[str, Any]) -> dict[str, Any]:
        """What makes the picture. One that is not there is left out in silence, but for Forge."""
        wanted = body.get("override_settings", {}).get("sd_model_checkpoint")
        for each in MODELS:
            if wanted in (each["title"], each["model_name"], each["hash"], str(each["title"]).partition(" [")[0]):
                return each
        if self.flavor == "forge" and wanted is not None:
            raise Refusal(FAULTS["no_model"])
        return LOADED

    def _drawn(self, body: dict[str, Any]) -> int:
        seed = body.get("seed", -1)
        return 1_000_000 + next(self._numbers) if seed == -1 else int(seed)

    def _info(self, body: dict[str, Any], seed: int, model: dict[str, Any], first: int) -> dict[str, Any]:
        name = str(model["filename"]).rpartition("/")[2].removesuffix(".safetensors")
        return {
            "prompt": body["prompt"], "all_prompts": [body["prompt"]], "seed": seed, "all_seeds": [seed],
            "width": body["width"], "height": body["height"], "sd_model_name": name, "sd_model_hash": model["hash"],
            "index_of_first_image": first, "infotexts": [f"{body['prompt']} {self.key}"],
            "job_timestamp": self.state["job_timestamp"],
        }  # fmt: skip

    def _echo(self, body: dict[str, Any], is_img2img: bool) -> dict[str, Any]:
        """What was sent comes back: whole from sd-server, without the pictures from the others."""
        return body | {"init_images": None} if is_img2img and self.flavor != "sd-server" else body

    def _idle(self) -> dict[str, Any]:
        return {"skipped": False, "interrupted": False, "job": "", "job_count": 0, "job_timestamp": "0", "job_no": 0,
                "sampling_step": 0, "sampling_steps": 0}  # fmt: skip

    def _begin(self, task: str | None) -> None:
        stamp = f"2026112016{next(self._numbers):06}"
        self.state = self._idle() | {"job": "scripts_txt2img", "job_count": 1, "job_timestamp": stamp}
        self.state |= {"sampling_step": 5, "sampling_steps": 20}
        self.task = task

    def _end(self) -> None:
        """What it was, and whether it was stopped, is told until another begins."""
        self.state |= {"job": "", "job_count": 0}
        self.task = None

    async def _interrupt(self, request: web.Request) -> web.StreamResponse:
        if self.flavor == "sd-server":
            raise web.HTTPNotFound
        self.state["interrupted"] = True
        return web.json_response({})

    async def _task(self, request: web.Request) -> web.StreamResponse:
        is_ours = request[CALL].body["id_task"] == self.task
        told: dict[str, Any] = {"active": is_ours, "queued": not is_ours, "completed": False, "textinfo": "Waiting..."}
        told["progress"] = self.progress_of_others
        if is_ours:
            told |= {"progress": self.state["sampling_step"] / self.state["sampling_steps"], "eta": 3.0}
        return web.json_response(told)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        if self.flavor == "sd-server" and name in ("progress", "scripts"):
            raise web.HTTPNotFound
        part = self.state["sampling_step"] / 20 if self.state["job_count"] else 0
        models: Any = MODELS
        if self.flavor == "sd-server":
            models = [
                {"title": "model", "model_name": "model", "filename": "model.safetensors", "hash": "8888888888",
                 "sha256": "8" * 64, "config": None}
            ]  # fmt: skip
        lists: dict[str, Any] = {
            "sd-models": models,
            "samplers": SAMPLERS,
            "engines": ENGINES,
            "options": {"samples_format": self.samples_format, "sd_model_checkpoint": models[-1]["title"]},
            "scripts": {"txt2img": [], "img2img": []},
            "schedulers": [{"name": "automatic", "label": "Automatic"}],
            "progress": {"progress": part, "eta_relative": 0.0, "state": self.state, "current_image": None,
                         "textinfo": None},
        }  # fmt: skip
        return web.json_response(lists[name])

    async def _give(self, request: web.Request) -> web.StreamResponse:
        body = dict(request[CALL].body)
        if "type" not in body:
            raise Refusal(Fault(400, {"error": "HTTPException", "detail": "Missing 'type' field"}))
        if body["type"] not in _JOB:
            raise Refusal(Fault(400, {"error": "HTTPException", "detail": f"Invalid job type: {body['type']}"}))
        self._known(body, _JOB[body["type"]])
        self.taken += 1
        now = datetime.now(UTC)
        job = {
            "id": f"{next(self._numbers):016x}", "type": body["type"], "status": "pending", "progress": 0.0, "step": 0,
            "steps": 0, "eta": None, "created_at": now.isoformat(), "started_at": None, "completed_at": None,
            "error": None, "result": None, "states": list(self.states_of_next or self.states), "params": body,
        }  # fmt: skip
        self.states_of_next = None
        self.jobs[job["id"]] = job
        return web.json_response(self._shown(job), status=202)

    async def _jobs(self, request: web.Request) -> web.StreamResponse:
        jobs = list(reversed(self.jobs.values()))
        limit, offset = int(request.query.get("limit", "20")), int(request.query.get("offset", "0"))
        items = [self._shown(job) for job in jobs[offset : offset + limit]]
        return web.json_response({"items": items, "total": len(jobs), "offset": offset, "limit": limit})

    async def _job(self, request: web.Request) -> web.StreamResponse:
        job = self._found(request)
        if job["states"]:
            job |= job["states"].pop(0)
        elif job["status"] in ("pending", "running") and not job.get("is_odd"):
            self._complete(job)
        if "raw" in job:
            return self._answer(job.pop("raw"))
        return web.json_response(self._shown(job))

    def _complete(self, job: dict[str, Any]) -> None:
        now, params = datetime.now(UTC), job["params"]
        form = "png" if job["type"] == "generate" else "mp4"
        files = [{"index": 0, "url": f"/sdapi/v2/jobs/{job['id']}/images/0", "width": params["width"],
                  "height": params["height"], "format": form, "size": 1}]  # fmt: skip
        if form == "mp4":
            files.append({**files[0], "index": 1, "format": "jpg"})
        told = {name: value for name, value in params.items() if name != "type"}
        job |= {
            "status": "completed", "progress": 1.0, "started_at": (now - timedelta(seconds=2)).isoformat(),
            "completed_at": now.isoformat(), "result": {"images": files, "processed": [], "info": {}, "params": told},
        }  # fmt: skip

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        job = self._found(request)
        if job["status"] not in ("pending", "running"):
            detail = "Job cannot be cancelled (already completed/failed/cancelled)"
            raise Refusal(Fault(409, {"error": "HTTPException", "detail": detail}))
        job |= {"status": "cancelled", "states": []}
        return web.json_response({"id": job["id"], "status": "cancelled"})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        job, index = self._found(request), int(request.match_info["index"])
        if job["status"] != "completed":
            raise Refusal(Fault(409, {"error": "HTTPException", "detail": "Job not completed"}))
        params = job["params"]
        if job["type"] == "generate":
            size = params.get("width_before", 512), params.get("height_before", 512)
            return web.Response(body=picture(*size, params["seed"], params["prompt"]), content_type="image/png")
        if index == 1:
            return web.Response(body=picture(16, 16), content_type="image/jpeg")
        made = clip(params["width"], params["height"], params["frames"], params["fps"], params["prompt"])
        return web.Response(body=made, content_type="video/mp4")

    def _found(self, request: web.Request) -> dict[str, Any]:
        job = self.jobs.get(request.match_info["id"])
        if job is None or job.get("is_gone"):
            detail = f"Job not found: {request.match_info['id']}"
            raise Refusal(Fault(404, {"error": "HTTPException", "detail": detail}))
        return job

    def _shown(self, job: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in job.items() if name not in ("states", "params", "raw", "is_odd")}


@contextmanager
def serve(fake: FakeServer) -> Iterator[FakeServer]:
    """Run it on a free port, until the end."""
    with hosted(fake.app(), shutdown_seconds=1) as (fake.port,):
        try:
            yield fake
        finally:
            fake.is_held = False
