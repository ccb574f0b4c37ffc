"""How far jobs are, as ComfyUI tells on its WebSocket. It may fail without harm: no job's end is read here."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import aiohttp
import msgspec
import structlog

from safelight.outbound.backend_api import BackendApi
from safelight.outbound.resolver import OutboundRefused

log = structlog.get_logger()

_MOST_WATCHED = 1000
_MOST_CHARACTERS = 1024 * 1024
"""Of a message: only pictures, which come as bytes, are longer."""
_BEYOND = 2**64
_PAUSES_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
_SAMPLING_WEIGHT = 20.0
"""A sampler takes most of a workflow's time. Nobody knows how much; the share that is shown is rough."""
_MOST_SHOWN = 0.99


class _Watched:
    """One job: how much of each node is done."""

    def __init__(self, graph: dict[str, dict[str, Any]]) -> None:
        self._weights = {node_id: _weight(str(node.get("class_type"))) for node_id, node in graph.items()}
        self._done: dict[str, float] = {}
        self._running: str | None = None
        self.fraction: float | None = None

    def note(self, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "execution_cached":
                cached = data.get("nodes")
                for node_id in cached if isinstance(cached, list) else ():
                    self._note_done(str(node_id))
            case "executing":
                if self._running is not None:
                    self._note_done(self._running)
                self._running = None if data.get("node") is None else str(data["node"])
            case "executed":
                self._note_done(str(data.get("node")))
            case "progress":
                self._share(str(data.get("node")), data)
            case "progress_state":
                nodes = data.get("nodes")
                for node_id, node in nodes.items() if isinstance(nodes, dict) else ():
                    if isinstance(node, dict):
                        self._share(node_id, node)
            case _:
                return
        done = sum(self._weights[node_id] * share for node_id, share in self._done.items())
        now = min(done / (sum(self._weights.values()) or 1.0), _MOST_SHOWN)
        self.fraction = max(now, self.fraction or 0.0)

    def _share(self, node_id: str, said: dict[str, Any]) -> None:
        value, most = said.get("value"), said.get("max")
        if isinstance(value, int | float) and isinstance(most, int | float) and 0 < most < _BEYOND:
            self._note_done(node_id, min(max(value, 0), most) / most)

    def _note_done(self, node_id: str, share: float = 1.0) -> None:
        """Only of nodes that the job has: what a server tells of others would add up."""
        if node_id in self._weights:
            self._done[node_id] = share


class ProgressListener:
    """Listens to one server for the jobs of one process, once there is one to watch. Belongs to one event loop."""

    def __init__(self, api: BackendApi) -> None:
        self.client_id = uuid.uuid4().hex
        """The server tells of jobs only to the client that a job names."""
        self._api = api
        self._watched: dict[str, _Watched] = {}
        self._listening: asyncio.Task[None] | None = None

    def watch(self, prompt_id: str, graph: dict[str, dict[str, Any]]) -> None:
        while len(self._watched) >= _MOST_WATCHED:
            del self._watched[next(iter(self._watched))]
        self._watched[prompt_id] = _Watched(graph)
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen(), name="comfyui-progress")

    def forget(self, prompt_id: str) -> None:
        self._watched.pop(prompt_id, None)

    def fraction(self, prompt_id: str) -> float | None:
        """From 0 to 0.99; None if it is not known."""
        watched = self._watched.get(prompt_id)
        return None if watched is None else watched.fraction

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        failures = 0
        while self._watched:
            try:
                async with self._api.websocket("/ws", {"clientId": self.client_id}) as socket:
                    failures = 0
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT and len(message.data) <= _MOST_CHARACTERS:
                            self._note(message.data)
            except OutboundRefused as refused:
                log.info("no progress from ComfyUI for now", reason=refused.reason)
            await asyncio.sleep(_PAUSES_SECONDS[min(failures, len(_PAUSES_SECONDS) - 1)])
            failures += 1

    def _note(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return
        data = message.get("data") if isinstance(message, dict) else None
        watched = self._watched.get(str(data.get("prompt_id"))) if isinstance(data, dict) else None
        if watched is not None and isinstance(data, dict):
            watched.note(str(message.get("type")), data)


def _weight(class_type: str) -> float:
    return _SAMPLING_WEIGHT if "Sampler" in class_type and not class_type.endswith("Select") else 1.0
