"""What a server tells of its kinds of nodes: the inputs that they take, and what those may be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from safelight.outbound.backend_api import BackendApi, Reply

_CALL_SECONDS = 4.0


class Input(msgspec.Struct, frozen=True):
    """An input of a class. ``choices``: the values that it lists, if it does."""

    choices: list[Any] | None
    bounds: Mapping[str, Any]
    is_required: bool


class NodeClass(msgspec.Struct, frozen=True):
    """A class of nodes. ``is_there``: whether the server has it at all."""

    is_there: bool
    inputs: dict[str, Input] = {}

    def required(self) -> list[str]:
        return [name for name, each in self.inputs.items() if each.is_required]


async def read_classes(api: BackendApi, names: Iterable[str]) -> dict[str, NodeClass] | None:
    """Classes by name. None: the server does not tell."""
    listed = sorted(set(names))
    found = await asyncio.gather(*(_class(api, name) for name in listed))
    classes = {name: each for name, each in zip(listed, found, strict=True) if each is not None}
    return classes if len(classes) == len(listed) else None


async def _class(api: BackendApi, name: str) -> NodeClass | None:
    path = f"/object_info/{quote(name, safe='')}"
    reply = await api.call("GET", path, deadline_seconds=_CALL_SECONDS)
    body = reply.json() if isinstance(reply, Reply) and reply.is_ok else None
    if not isinstance(body, dict):
        return None
    entry = body.get(name)
    if not isinstance(entry, dict):
        return NodeClass(is_there=False)
    groups = entry.get("input")
    inputs = {
        name: _input(said, is_required=group == "required")
        for group, members in (groups.items() if isinstance(groups, dict) else ())
        for name, said in (members.items() if isinstance(members, dict) else ())
    }
    return NodeClass(is_there=True, inputs=inputs)


def _input(said: object, *, is_required: bool) -> Input:
    kind, more = (said[0], said[1] if len(said) > 1 else {}) if isinstance(said, list) and said else (None, {})
    bounds = more if isinstance(more, dict) else {}
    if isinstance(kind, list):
        return Input(kind, bounds, is_required)
    options = bounds.get("options")
    return Input(options if kind == "COMBO" and isinstance(options, list) else None, bounds, is_required)
