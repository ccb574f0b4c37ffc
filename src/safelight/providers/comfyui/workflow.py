"""Workflows as ComfyUI exports them for its API: nodes by id, each with a class and inputs, some linked to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

MAX_BYTES = 8 * 1024 * 1024
_EXPORT = "In ComfyUI choose Workflow > Export (API), and use that file"


class WorkflowError(ValueError):
    """It is no workflow in API format; the message says what to do."""


class Node(msgspec.Struct, frozen=True):
    """One node. ``inputs`` are values, or links: a node's id and the place of its output."""

    class_type: str
    inputs: dict[str, Any] = {}
    title: str | None = None

    def link(self, name: str) -> str | None:
        """The id of the node that an input is linked to."""
        value = self.inputs.get(name)
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
            return str(value[0])
        return None


class Workflow(msgspec.Struct, frozen=True):
    """Nodes by their ids, and the graph as it was written."""

    nodes: dict[str, Node]
    graph: dict[str, dict[str, Any]]

    def named(self, node_id: str) -> str:
        """A node as people find it: ``node 6 (CLIPTextEncode)``."""
        node = self.nodes.get(node_id)
        return f"node {node_id}" if node is None else f"node {node_id} ({node.class_type})"


def read_workflow(path: Path) -> Workflow:
    """The workflow in a file. Raises ``WorkflowError``."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WorkflowError(f"{path}: {error.strerror}. Name a workflow that was exported for the API.") from None
    except ValueError:  # a name that no file can have
        raise WorkflowError(f"{path!s}: that is no path.") from None
    if len(content) > MAX_BYTES:
        raise WorkflowError(f"{path}: it is over {MAX_BYTES // 1024**2} MiB. {_EXPORT}.")
    try:
        document = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WorkflowError(f"{path}: it is not JSON ({error}). {_EXPORT}.") from None
    try:
        return parse_workflow(document)
    except WorkflowError as error:
        raise WorkflowError(f"{path}: {error}") from None


def parse_workflow(document: object) -> Workflow:
    """The workflow in a document: the graph itself, or wrapped as a request has it. Raises ``WorkflowError``."""
    if isinstance(document, dict) and isinstance(document.get("prompt"), dict) and "class_type" not in document:
        document = document["prompt"]
    if not isinstance(document, dict):
        raise WorkflowError(f"it is no workflow. {_EXPORT}.")
    if isinstance(document.get("nodes"), list):
        raise WorkflowError(f"it is a workflow as the editor saves it, which ComfyUI's API does not run. {_EXPORT}.")
    if not document:
        raise WorkflowError(f"it has no nodes. {_EXPORT}.")
    return Workflow({node_id: _node(node_id, entry) for node_id, entry in document.items()}, document)


def _node(node_id: str, entry: object) -> Node:
    if "." in node_id:
        raise WorkflowError(f"node {node_id!r} has a dot in its id, and no place can name it. Give it another.")
    if not isinstance(entry, dict) or not isinstance(entry.get("class_type"), str):
        raise WorkflowError(f"{node_id!r} is no node: it has no class_type. {_EXPORT}.")
    inputs = entry.get("inputs", {})
    if not isinstance(inputs, dict):
        raise WorkflowError(f"node {node_id}: its inputs are no object. {_EXPORT}.")
    meta = entry.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return Node(entry["class_type"], inputs, title if isinstance(title, str) else None)
