"""Ending a generation before its time, at its client's wish."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from safelight.domain.errors import GenerationFailed
from safelight.domain.generations import GenerationType, State
from safelight.lifecycle import settle
from safelight.lifecycle.run import claim, hand_back
from safelight.lifecycle.services import RunServices, ViewServices
from safelight.lifecycle.views import GenerationView, view
from safelight.node.killpoints import killpoint

_PATIENCE_SECONDS = 3.0


class Cancellation(StrEnum):
    """What became of the wish. ``requested``: the backend is being asked, or cannot stop; the hold stays meanwhile."""

    CANCELED = "canceled"
    REQUESTED = "requested"
    TOO_LATE = "too_late"


async def cancel(
    running: RunServices, viewing: ViewServices, workspace_id: int, generation_id: str, type_: GenerationType
) -> tuple[Cancellation, GenerationView]:
    """Cancel a generation of this workspace; how it stands afterwards. Raises ``NotFound``.

    One that waits ends at once. One that runs is asked to stop, and the answer waits a moment for its runner.
    """
    found = await view(viewing, workspace_id, generation_id, type_)
    if found.state.is_final:
        return _what_became(found), found
    with viewing.changes.subscribed(generation_id) as changed:
        params = {"id": generation_id, "workspace_id": workspace_id, "type": str(type_)}
        row = await running.db.one("request_cancel", params, tuple)
        killpoint("cancel-after-request")
        if row is not None and not row[0]:
            await _end_waiting(running, generation_id)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    found = await view(viewing, workspace_id, generation_id, type_)
                    if found.state.is_final:
                        break
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            pass
    return _what_became(found), found


async def _end_waiting(services: RunServices, generation_id: str) -> None:
    """End one that no runner has, unless a backend may hold its job."""
    claimed = await claim(services, generation_id)
    if claimed is None:
        return
    if claimed.was_submitted:
        await hand_back(services, claimed)  # who takes it next finds the wish on the row, and asks the backend
        return
    await settle.fail(services.db, claimed, GenerationFailed("The generation was canceled."), state=State.CANCELED)


def _what_became(found: GenerationView) -> Cancellation:
    if found.state is State.CANCELED:
        return Cancellation.CANCELED
    return Cancellation.TOO_LATE if found.state.is_final else Cancellation.REQUESTED
