"""Videos as tasks, for hosts that know the extension ``io.modelcontextprotocol/tasks`` (SEP-2663, 2026-07-28).

A task is the generation itself: its id, durable before the host hears of it, and known to every process.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mcp_types import CallToolResult, ClientCapabilities, RequestParams

from safelight.domain.ids import made_at
from safelight.mcp.api import Json

EXTENSION = "io.modelcontextprotocol/tasks"
MODERN = "2026-07-28"
POLL_MILLISECONDS = 2000


class TaskParams(RequestParams):
    """The parameters of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str


class UpdateParams(TaskParams):
    """Those of ``tasks/update``: no task here asks for anything."""

    input_responses: dict[str, Any] | None = None


def are_known_to(capabilities: ClientCapabilities | None, protocol_version: str) -> bool:
    """Whether whoever asks takes a task for an answer."""
    extensions = capabilities.extensions if capabilities is not None else None
    return protocol_version >= MODERN and EXTENSION in (extensions or {})


def created(generation_id: str) -> dict[str, Any]:
    """What ``tools/call`` answers instead of the tool's result."""
    return {**_task({"id": generation_id, "status": "pending"}), "resultType": "task"}


def standing(generation: Json, result: CallToolResult | None) -> dict[str, Any]:
    """What ``tasks/get`` answers. ``result``: the tool's, once there is one; that of a failure is one as well."""
    task = _task(generation)
    if result is not None:
        task |= {"status": "completed", "result": result.model_dump(by_alias=True, mode="json", exclude_none=True)}
    return {**task, "resultType": "complete"}


def _task(generation: Json) -> dict[str, Any]:
    began = made_at(generation["id"])
    task: dict[str, Any] = {
        "taskId": generation["id"],
        "status": "working",
        "createdAt": _iso(began),
        "lastUpdatedAt": _iso(datetime.now(UTC)),
        "ttlMs": None,
        "pollIntervalMs": POLL_MILLISECONDS,
    }
    if "progress" in generation:
        task["statusMessage"] = f"{generation['progress']:.0%} made"
    if generation["status"] == "completed":
        ends = datetime.fromisoformat(generation["data"][0]["deletes_at"])
        task["ttlMs"] = round((ends - began).total_seconds() * 1000)
    return task


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
