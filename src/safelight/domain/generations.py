"""What a generation is, and what it goes through. States only move forward."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

WireStatus = Literal["pending", "completed", "failed"]


class GenerationType(StrEnum):
    IMAGE = "image"
    VIDEO = "video"


class State(StrEnum):
    """``unknown`` means that a backend may hold the job, and has yet to be asked: the hold stays."""

    QUEUED = "queued"
    RUNNING = "running"
    UNKNOWN = "unknown"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        return self in (State.COMPLETED, State.FAILED, State.CANCELED)

    @property
    def on_the_wire(self) -> WireStatus:
        if self is State.COMPLETED:
            return "completed"
        return "failed" if self.is_final else "pending"
