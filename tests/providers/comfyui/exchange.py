"""A talk with a ComfyUI server, and what it answered, less what differs from one run to the next.

``recorded.json`` is what a real server answered: ``python -m tests.providers.comfyui.exchange URL`` writes it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import aiohttp

RECORDED = Path(__file__).with_name("recorded.json")
SPACE = uuid.UUID("6f0d5a5e-0d5b-4f51-8a0e-0a8c1d2f3b4c")
_PIXEL = b"\x89PNG"  # no picture: the node that opens it breaks
_VARY = {"timestamp", "create_time", "number", "traceback", "client_id", "tooltip", "current_outputs", "executed"}
_CLASSES = (
    "CLIPTextEncode",
    "CreateVideo",
    "EmptyImage",
    "ImageInvert",
    "EmptyLatentImage",
    "LoadImage",
    "SafelightPaint",
    "SaveImage",
)
_PATIENCE_SECONDS = 30.0


def paint(prefix: str, **inputs: Any) -> dict[str, Any]:
    """A graph that needs no model."""
    defaults = {
        "prompt": "a hill",
        "negative": "",
        "width": 64,
        "height": 48,
        "frames": 1,
        "seed": 7,
        "steps": 4,
        "seconds": 0.0,
        "breaks": "no",
    }
    return {
        "3": {"class_type": "SafelightPaint", "inputs": {**defaults, **inputs}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": prefix}},
    }


class Talk:
    """Asks one server, and notes what it said."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self.session, self.base_url = session, base_url
        self.client_id = str(uuid.uuid4())
        self.run = uuid.uuid4().hex[:8]
        self.said: dict[str, Any] = {}
        self.heard: list[dict[str, Any]] = []

    async def ask(self, about: str, method: str, path: str, **more: Any) -> Any:
        async with self.session.request(method, f"{self.base_url}{path}", **more) as reply:
            kind = reply.content_type
            body = await reply.json() if kind == "application/json" else f"{len(await reply.read()) > 0} {kind}"
            self.said[about] = {"status": reply.status, "body": body}
            return body

    async def order(self, about: str, graph: dict[str, Any], **more: Any) -> str:
        prompt_id = str(uuid.uuid5(SPACE, f"{self.run} {about}"))
        request = {"prompt": graph, "prompt_id": prompt_id, "client_id": self.client_id, **more}
        await self.ask(about, "POST", "/prompt", json=request)
        return prompt_id

    async def ended(self, about: str, prompt_id: str) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await self.ask(about, "GET", f"/history/{prompt_id}"):
                await asyncio.sleep(0.05)

    async def standing(self, about: str) -> tuple[list[str], list[str]]:
        """The ids of jobs that run, and of those that wait."""
        queue = await self.ask(about, "GET", "/queue")
        running, waiting = ([item[1] for item in queue[name]] for name in ("queue_running", "queue_pending"))
        return running, waiting

    async def runs(self, about: str, prompt_id: str) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while prompt_id not in (await self.standing(about))[0]:
                await asyncio.sleep(0.02)

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.heard.append(json.loads(message.data))

    def messages(self, prompt_id: str) -> list[str]:
        """The kinds of messages about a job, repetitions left out; those on progress are not in a fixed order."""
        kinds = [each["type"] for each in self.heard if each["data"].get("prompt_id") == prompt_id]
        return [
            kind for place, kind in enumerate(kinds) if not kind.startswith("progress") and kind not in kinds[:place]
        ]


async def talk(base_url: str) -> dict[str, Any]:
    """Everything that was said, with names of our own in place of ids."""
    async with aiohttp.ClientSession() as session:
        this = Talk(session, base_url)
        async with session.ws_connect(f"{base_url}/ws?clientId={this.client_id}") as socket:
            listening = asyncio.create_task(this.listen(socket))
            ids = await _talk(this)
            await asyncio.sleep(0.2)
            listening.cancel()
        for name, prompt_id in ids.items():
            this.said[f"messages of {name}"] = this.messages(prompt_id)
        shares = [
            each for each in this.heard if each["type"] == "progress" and each["data"]["prompt_id"] == ids["good"]
        ]
        this.said["shares"] = [{key: each["data"][key] for key in ("value", "max", "node")} for each in shares]
        return _plain(this.said, {**{prompt_id: name for name, prompt_id in ids.items()}, this.run: "RUN"})


async def _talk(this: Talk) -> dict[str, str]:
    for name in _CLASSES:
        info = await this.ask(f"class {name}", "GET", f"/object_info/{name}")
        this.said[f"class {name}"] = info[name]["input"]
    this.said["class LoadImage"]["required"]["image"][0] = "files of the input folder"
    await this.ask("class absent", "GET", "/object_info/Absent")
    await this.ask("no prompt", "POST", "/prompt", json={"nodes": [], "links": []})
    await this.ask("editor's format", "POST", "/prompt", json={"prompt": {"nodes": [], "links": []}})
    await this.ask("unknown node", "POST", "/prompt", json={"prompt": {"1": {"class_type": "Absent", "inputs": {}}}})
    lone = {"3": paint("x")["3"]}
    await this.ask("no output", "POST", "/prompt", json={"prompt": lone})
    bad = paint("x", width="a", height=99999, breaks="maybe")
    del bad["3"]["inputs"]["steps"], bad["9"]["inputs"]["filename_prefix"]
    await this.ask("bad values", "POST", "/prompt", json={"prompt": bad})

    good = await this.order("good", paint(f"{this.run}-good"))
    await this.ended("good ended", good)
    await this.ask("good file", "GET", f"/view?filename={this.run}-good_00001_.png&type=output&subfolder=")
    await this.ask("a part", "GET", f"/view?filename={this.run}-good_00001_.png", headers={"Range": "bytes=0-0"})
    await this.ask("no file", "GET", "/view?filename=absent.png&type=output")

    half = paint(f"{this.run}-half", seed=8)
    half |= {
        "10": {"class_type": "LoadImage", "inputs": {"image": "absent.png"}},
        "11": {"class_type": "SaveImage", "inputs": {"images": ["10", 0], "filename_prefix": "x"}},
    }
    partly = await this.order("partly", half)
    await this.ended("partly ended", partly)
    del half["3"], half["9"]
    await this.order("wholly bad", half)

    name = f"{this.run}.png"
    for about, data, more in (
        ("upload", _PIXEL, {}),
        ("upload again", _PIXEL + b"x", {}),
        ("upload over", _PIXEL, {"overwrite": "true"}),
        ("upload aside", _PIXEL, {"subfolder": this.run, "type": "temp"}),
    ):
        form = aiohttp.FormData(more)
        form.add_field("image", data, filename=name, content_type="image/png")
        await this.ask(about, "POST", "/upload/image", data=form)
    broken = {
        "10": {"class_type": "LoadImage", "inputs": {"image": name}},
        "11": {"class_type": "SaveImage", "inputs": {"images": ["10", 0], "filename_prefix": "x"}},
    }
    await this.ended("broken ended", await this.order("broken", broken))
    await this.ended("memory ended", await this.order("memory", paint("x", breaks="memory")))

    slow = await this.order("slow", paint("x", seconds=60.0))
    await this.runs("slow runs", slow)
    waiting = await this.order("waiting", paint("x", seconds=61.0))
    ahead = await this.order("ahead", paint("x", seconds=62.0), front=True)
    first = await this.standing("two wait")
    this.said["two wait"] = [len(first[0]), sorted(first[1]) == sorted([waiting, ahead])]
    await this.ask("interrupt one that waits", "POST", "/interrupt", json={"prompt_id": waiting})
    await this.ask("take two away", "POST", "/queue", json={"delete": [waiting, ahead]})
    this.said["one is left"] = [len(part) for part in await this.standing("one is left")]
    await this.ask("no trace", "GET", f"/history/{waiting}")
    await this.ask("interrupt", "POST", "/interrupt", json={"prompt_id": slow})
    await this.ended("slow ended", slow)
    del this.said["slow runs"]
    return {"good": good, "partly": partly, "slow": slow, "waiting": waiting, "ahead": ahead}


def _plain(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        kept = {key: _plain(item, names) for key, item in value.items() if key not in _VARY}
        if "exception_message" in kept:
            kept["exception_message"] = kept["exception_message"].partition("\n")[0]  # advice may follow
        if isinstance(kept.get("prompt"), list):
            kept["prompt"] = kept["prompt"][1:]  # without its number
        if isinstance(kept.get("errors"), list):
            kept["errors"].sort(key=str)
        return {_plain(key, names): item for key, item in kept.items() if key != "meta"}
    if isinstance(value, list | tuple):
        return [_plain(item, names) for item in value]
    if isinstance(value, str):
        for known, name in names.items():
            value = value.replace(known, name)
        value = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", value)
        return re.sub(r"'/[^']*/input/", "'/input/", value)
    return value


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(asyncio.run(talk(sys.argv[1])), indent=1, sort_keys=True) + "\n")
