"""How what was ordered stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from safelight.dashboard.visit import Visit
from safelight.domain.generations import GenerationType
from safelight.lifecycle.views import GenerationDetail, GenerationView, detail, view_of_any_type

MOST = 8
"""So many runs are shown beside the form."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A run. ``seconds``: how long it took, or has been under way."""

    view: GenerationView
    detail: GenerationDetail
    seconds: float

    @property
    def is_video(self) -> bool:
        return self.view.type is GenerationType.VIDEO

    @property
    def can_be_canceled(self) -> bool:
        return self.is_video and not self.view.state.is_final

    @property
    def charged_nanos(self) -> int | None:
        """None until it is completed."""
        usage = self.view.usage
        return None if usage is None else int(usage.total_cost.scaleb(9))


async def card_of(visit: Visit, generation_id: str) -> Card:
    """A run of the workspace. Raises ``NotFound``: another workspace's is as absent as one that never was."""
    viewing, workspace_id = visit.state.viewing, visit.principal.workspace_id
    found = await view_of_any_type(viewing, workspace_id, generation_id)
    whole = await detail(viewing, workspace_id, generation_id)
    ended = found.finished_at or datetime.now(UTC)
    return Card(view=found, detail=whole, seconds=max(0.0, (ended - found.created_at).total_seconds()))


async def cards_of(visit: Visit, generation_ids: Sequence[str]) -> list[Card]:
    """The runs, each once. Raises ``NotFound`` where any of them is not there."""
    return await asyncio.gather(*(card_of(visit, each) for each in list(dict.fromkeys(generation_ids))[:MOST]))
