"""A ComfyUI server in small, as a process: its queue, history, files and WebSocket, and a handful of its nodes.

What it answers is compared with what a real one answered, see ``exchange.py``. Files outlive it, jobs do not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import heapq
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from tests.providers.comfyui.fake_nodes import (
    CLASSES,
    OUTPUT_NODES,
    Interrupted,
    OutOfMemoryError,
    Run,
    Server,
    upstream,
)

VERSION = "0.3.75"
PREVIEW = b"\0\0\0\1\0\0\0\1\xff\xd8\xff\xd9"
"""A frame of bytes, as a sampler sends them between its words."""


class Comfy(Server):
    """The server's state. Everything but files is gone with it."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        super().__init__(folder)
        self.options = options
        self.queue: list[tuple[float, str, dict[str, Any], dict[str, Any], list[str]]] = []
        self.running: list[tuple[float, str, dict[str, Any], dict[str, Any], list[str]]] = []
        self.history: dict[str, Any] = {}
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.number = 0
        self.loses_answers = 0
        self.taken: list[tuple[str, Any]] = []
        self.breaks = 0
        self.says: list[tuple[int, str]] = []
        self.ends: list[dict[str, Any]] = []
        self.going = asyncio.Event()
        self.going.set()
        self.wake = asyncio.Event()
        for name in ("output", "input", "temp"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    async def send(self, kind: str, data: dict[str, Any], client_id: str | None = None) -> None:
        targets = list(self.sockets.values()) if client_id is None else [self.sockets.get(client_id)]
        for socket in targets:
            if socket is not None:
                with contextlib.suppress(ConnectionError):
                    await socket.send_json({"type": kind, "data": data})

    async def tell_queue(self) -> None:
        remaining = len(self.queue) + len(self.running)
        await self.send("status", {"status": {"exec_info": {"queue_remaining": remaining}}})

    # What is asked

    async def post_prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.says:
            status, said = self.says.pop(0)
            return web.Response(status=status, text=said, content_type="application/json")
        number = float(body["number"]) if "number" in body else (-self.number if body.get("front") else self.number)
        self.number += 1
        if "prompt" not in body:
            said = "No prompt provided"
            error = {"type": "no_prompt", "message": said, "details": said, "extra_info": {}}
            return web.json_response({"error": error, "node_errors": {}}, status=400)
        graph, prompt_id = body["prompt"], str(body.get("prompt_id", uuid.uuid4()))
        error, good, node_errors = self.validated(graph)
        if error is not None:
            return web.json_response({"error": error, "node_errors": node_errors}, status=400)
        extra = dict(body.get("extra_data", {}))
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        extra["create_time"] = int(time.time() * 1000)
        heapq.heappush(self.queue, (number, prompt_id, graph, extra, good))
        self.taken.append((prompt_id, graph))
        await self.tell_queue()
        self.wake.set()
        if self.loses_answers:
            self.loses_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": node_errors})

    def validated(self, graph: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str], dict[str, Any]]:
        """An error for all of it; or which outputs are good, and what is wrong with the others."""
        outputs = []
        for node_id, node in graph.items():
            fault = None
            if not isinstance(node, dict) or "class_type" not in node:
                fault = "a node is missing the class_type property."
            elif node["class_type"] not in CLASSES:
                fault = f"node {node['class_type']} does not exist."
            if fault:
                return _error("invalid_prompt", f"Cannot execute because {fault}", f"Node ID '#{node_id}'"), [], {}
            if node["class_type"] in OUTPUT_NODES:
                outputs.append(node_id)
        if not outputs:
            return _error("prompt_no_outputs", "Prompt has no outputs", ""), [], {}
        good: list[str] = []
        node_errors: dict[str, Any] = {}
        own: list[str] = []
        for output in outputs:
            wrong = {node_id: self.faults(node_id, graph) for node_id in upstream(output, graph)}
            if not any(wrong.values()):
                good.append(output)
                continue
            own += [f"{fault['message']}: {fault['details']}" for fault in wrong[output]]
            for node_id, faults in wrong.items():
                if faults:
                    new = {"errors": faults, "dependent_outputs": [], "class_type": graph[node_id]["class_type"]}
                    node_errors.setdefault(node_id, new)["dependent_outputs"].append(output)
        if good:
            return None, good, node_errors
        failed = _error("prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(own))
        return failed, [], node_errors

    def faults(self, node_id: str, graph: dict[str, Any]) -> list[dict[str, Any]]:
        node = graph[node_id]
        found = []
        for name, spec in CLASSES[node["class_type"]]["required"].items():
            kind, config = spec[0], spec[1] if len(spec) > 1 else {}
            if name not in node["inputs"]:
                found.append(_fault("required_input_missing", "Required input is missing", name, name))
                continue
            value = node["inputs"][name]
            if isinstance(value, list):
                continue
            more = {"input_config": spec, "received_value": value}
            if kind == "INT":
                try:
                    value = int(value)
                except ValueError as error:
                    said = "Failed to convert an input value to a INT value"
                    more["exception_message"] = str(error)
                    found.append(_fault("invalid_input_type", said, f"{name}, {value}, {error}", name, **more))
                    continue
            if kind in ("INT", "FLOAT") and value > config.get("max", value):
                said = f"Value {value} bigger than max of {config['max']}"
                found.append(_fault("value_bigger_than_max", said, name, name, **more))
            if kind in ("INT", "FLOAT") and value < config.get("min", value):
                said = f"Value {value} smaller than min of {config['min']}"
                found.append(_fault("value_smaller_than_min", said, name, name, **more))
            choices = kind if isinstance(kind, list) else config.get("options") if kind == "COMBO" else None
            if node["class_type"] == "LoadImage":
                if not self.annotated(value).is_file():
                    said = f"{name} - Invalid image file: {value}"
                    told = "Custom validation failed for node"
                    found.append(_fault("custom_validation_failed", told, said, name))
            elif choices is not None and value not in choices:
                said = f"{name}: '{value}' not in {choices}"
                found.append(_fault("value_not_in_list", "Value not in list", said, name, **more))
        return found

    async def get_history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        return web.json_response({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    async def get_queue(self, request: web.Request) -> web.Response:
        return web.json_response({"queue_running": self.running, "queue_pending": self.queue})

    async def post_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self.queue = []
        self.queue = [item for item in self.queue if item[1] not in body.get("delete", ())]
        heapq.heapify(self.queue)
        await self.tell_queue()
        return web.Response()

    async def post_interrupt(self, request: web.Request) -> web.Response:
        try:
            prompt_id = (await request.json()).get("prompt_id")
        except json.JSONDecodeError:
            prompt_id = None
        if prompt_id is None or any(item[1] == prompt_id for item in self.running):
            self.is_interrupted = True
        return web.Response()

    async def post_upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image, kind, subfolder = form.get("image"), form.get("type") or "input", form.get("subfolder", "")
        if not isinstance(image, web.FileField) or not image.filename:
            return web.Response(status=400)
        name, data = image.filename, image.file.read()
        if self.options.renames:
            subfolder, name = "kept", f"copy of {name}"
        target = self.folder / str(kind) / str(subfolder)
        target.mkdir(exist_ok=True)
        stem, dot, extension = name.rpartition(".")
        count = 1
        while form.get("overwrite") not in ("true", "1") and (target / name).exists():
            if (target / name).read_bytes() == data:
                break
            name, count = f"{stem} ({count}){dot}{extension}", count + 1
        (target / name).write_bytes(data)
        return web.json_response({"name": name, "subfolder": subfolder, "type": kind})

    async def get_view(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        name = query.get("filename", "")
        if (
            not name
            or name.startswith("/")
            or ".." in name
            or query.get("type", "output") not in ("output", "input", "temp")
        ):
            return web.Response(status=400)
        path = self.folder / query.get("type", "output") / query.get("subfolder", "") / Path(name).name
        if not path.is_file():
            return web.Response(status=404)
        return web.FileResponse(path, headers={"Content-Disposition": f'filename="{path.name}"'})

    async def get_system_stats(self, request: web.Request) -> web.Response:
        system = {"os": "posix", "comfyui_version": VERSION, "python_version": sys.version, "argv": sys.argv}
        devices = [{"name": "cpu", "type": "cpu", "index": None, "vram_total": 1, "vram_free": 1}]
        return web.json_response({"system": system, "devices": devices})

    async def get_object_info(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        names = CLASSES if name is None else [name] if name in CLASSES else []
        found = {each: _info(each) for each in names}
        if "LoadImage" in found:
            files = sorted(path.name for path in (self.folder / "input").iterdir() if path.is_file())
            found["LoadImage"]["input"] = {"required": {"image": [files, {"image_upload": True}]}}
        return web.json_response(found)

    async def get_websocket(self, request: web.Request) -> web.WebSocketResponse:
        if self.options.deaf:
            raise web.HTTPNotFound
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        self.sockets[client_id] = socket
        status = {"exec_info": {"queue_remaining": len(self.queue) + len(self.running)}}
        await self.send("status", {"status": status, "sid": client_id}, client_id)
        await socket.send_bytes(PREVIEW)
        try:
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        finally:
            if self.sockets.get(client_id) is socket:
                del self.sockets[client_id]
        return socket

    # What only tests ask

    async def post_command(self, request: web.Request) -> web.Response:
        """What is to happen: the next answer lost, the next job out of memory, jobs held or let go; or what is said.

        ``says``: status and text of the next answers to an order, which is then not taken. ``ends``: what the history
        tells of the next jobs, in place of what became of them.
        """
        command = await request.json()
        self.loses_answers += bool(command.get("loses_answer"))
        self.breaks += bool(command.get("breaks"))
        self.says += command.get("says", [])
        self.ends += command.get("ends", [])
        if "holds" in command:
            self.going.clear() if command["holds"] else self.going.set()
        return web.Response()

    async def get_taken(self, request: web.Request) -> web.Response:
        """The ids of every job that was ever taken, in order, with their graphs, and who listens."""
        ids, graphs = [prompt_id for prompt_id, _ in self.taken], [graph for _, graph in self.taken]
        return web.json_response({"taken": ids, "graphs": graphs, "listening": list(self.sockets)})

    async def held(self) -> None:
        while not self.going.is_set():
            await asyncio.sleep(0.02)
            if self.is_interrupted:
                self.is_interrupted = False
                raise Interrupted
        if self.breaks:
            self.breaks -= 1
            raise OutOfMemoryError("Allocation on device")

    # What is done

    async def work(self) -> None:
        while True:
            while not self.queue:
                self.wake.clear()
                await self.wake.wait()
            item = heapq.heappop(self.queue)
            self.running.append(item)
            await self.tell_queue()
            await self.run(item)

    async def run(self, item: tuple[float, str, dict[str, Any], dict[str, Any], list[str]]) -> None:
        _, prompt_id, graph, extra, good = item
        client_id = extra.get("client_id")
        client = None if client_id is None else str(client_id)
        messages: list[Any] = []

        async def say(kind: str, *, everybody: bool = False, **data: Any) -> None:
            said = {"prompt_id": prompt_id, **data, "timestamp": int(time.time() * 1000)}
            messages.append([kind, said])
            if client is not None or everybody:
                await self.send(kind, said, None if everybody else client)

        async def tell(kind: str, data: dict[str, Any]) -> None:
            if client is not None:
                await self.send(kind, data, client)

        self.is_interrupted = False
        run = Run(self, prompt_id, graph, tell)
        await say("execution_start")
        await say("execution_cached", nodes=run.cached(good))
        is_done = False
        try:
            await self.held()
            for output in good:
                await run.value(output)
            is_done = True
            await say("execution_success")
        except Interrupted:
            about = {"node_id": run.at, "node_type": graph[run.at]["class_type"], "executed": run.executed}
            await say("execution_interrupted", everybody=True, **about)
        except Exception as error:
            module = type(error).__module__
            await say(
                "execution_error",
                node_id=run.at,
                node_type=graph[run.at]["class_type"],
                executed=run.executed,
                exception_message=f"{error}\n",
                exception_type=type(error).__name__ if module == "builtins" else f"{module}.{type(error).__name__}",
                traceback=["  here\n"],
                current_inputs={name: [value] for name, value in graph[run.at]["inputs"].items()},
                current_outputs=list(graph),
            )
        await asyncio.sleep(self.options.late)  # success is told before the history is written
        self.running.clear()
        self.history[prompt_id] = {
            "prompt": [*item[:4], good],
            "outputs": run.outputs,
            "status": {"status_str": "success" if is_done else "error", "completed": is_done, "messages": messages},
            "meta": {},
            **(self.ends.pop(0) if self.ends else {}),
        }
        await self.tell_queue()
        if client is not None:
            await self.send("executing", {"node": None, "prompt_id": prompt_id}, client)


def _info(name: str) -> dict[str, Any]:
    return {"input": CLASSES[name], "name": name, "output_node": name in OUTPUT_NODES}


def _error(kind: str, message: str, details: str) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": {}}


def _fault(kind: str, message: str, details: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": {"input_name": name, **more}}


@web.middleware
async def origin_is_its_own(request: web.Request, handler: Any) -> web.StreamResponse:
    """A page of another site is turned away from a server on loopback."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        return web.Response(status=403)
    return await handler(request)  # type: ignore[no-any-return]


@web.middleware
async def key_demanded(request: web.Request, handler: Any) -> web.StreamResponse:
    """As a proxy in front of it does it."""
    key = request.app["key"]
    if key and request.headers.get("Authorization") != f"Bearer {key}":
        return web.Response(status=401, text="who are you?")
    return await handler(request)  # type: ignore[no-any-return]


async def serve(options: argparse.Namespace) -> None:
    comfy = Comfy(options.folder, options)
    app = web.Application(client_max_size=100 * 1024**2, middlewares=[origin_is_its_own, key_demanded])
    app["key"] = options.key
    for prefix in ("", "/api"):
        app.router.add_post(f"{prefix}/prompt", comfy.post_prompt)
        app.router.add_get(f"{prefix}/history/{{prompt_id}}", comfy.get_history)
        app.router.add_get(f"{prefix}/queue", comfy.get_queue)
        app.router.add_post(f"{prefix}/queue", comfy.post_queue)
        app.router.add_post(f"{prefix}/interrupt", comfy.post_interrupt)
        app.router.add_post(f"{prefix}/upload/image", comfy.post_upload)
        app.router.add_get(f"{prefix}/view", comfy.get_view)
        app.router.add_get(f"{prefix}/system_stats", comfy.get_system_stats)
        app.router.add_get(f"{prefix}/object_info", comfy.get_object_info)
        app.router.add_get(f"{prefix}/object_info/{{name}}", comfy.get_object_info)
        app.router.add_get(f"{prefix}/ws", comfy.get_websocket)
    app.router.add_post("/_test/command", comfy.post_command)
    app.router.add_get("/_test/taken", comfy.get_taken)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port).start()
    await comfy.work()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--key", default="", help="what a proxy in front demands")
    parser.add_argument("--deaf", action="store_true", help="no WebSocket")
    parser.add_argument("--renames", action="store_true", help="uploads get another name and folder")
    parser.add_argument("--late", type=float, default=0.05, help="seconds from the word of success to the history")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
