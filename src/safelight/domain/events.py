"""What workspaces can be told of, as it happens."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """The type of an event, as it stands in its payload."""

    GENERATION_COMPLETED = "generation.completed"
    GENERATION_FAILED = "generation.failed"
    GENERATION_CANCELED = "generation.canceled"
    MODERATION_REFUSED = "moderation.refused"
    BALANCE_LOW = "balance.low"
