"""Events as they are told: the same to whoever is told, over whichever way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.money import format_usd
from safelight.lifecycle.services import ViewServices
from safelight.lifecycle.views import GenerationView, view

ToJson = Callable[[GenerationView], bytes]
"""A generation in JSON, as its GET answers."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a workspace. ``payload`` is of one that is no generation's."""

    event_id: str
    type: str
    workspace_id: int
    generation_id: str | None
    generation_type: str | None
    payload: dict[str, Any]
    happened_at: datetime


async def event_body(services: ViewServices, to_json: ToJson, event: Event) -> bytes:
    """The event in JSON: ``type``, ``timestamp``, ``data``. Its generation is looked up now, so that its links work.

    Raises ``NotFound`` where the generation is erased: there is nothing to tell.
    """
    happened_at = event.happened_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if event.generation_id is not None:
        type_ = GenerationType(event.generation_type or "")
        data: object = msgspec.Raw(to_json(await view(services, event.workspace_id, event.generation_id, type_)))
    else:
        data = _readable(event.payload)
    return msgspec.json.encode({"type": event.type, "timestamp": happened_at, "data": data})


def _readable(payload: dict[str, Any]) -> dict[str, Any]:
    """A payload as it is sent: amounts in dollars, as decimal strings."""
    rest = dict(payload)
    available_nanos = rest.pop("available_nanos", None)
    return rest if available_nanos is None else {"balance": format_usd(available_nanos), "currency": "USD", **rest}
