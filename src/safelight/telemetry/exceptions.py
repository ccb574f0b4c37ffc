"""Telling of an exception in the log without its message, which may quote a backend's answer or a key."""

from __future__ import annotations

import traceback
from pathlib import Path

_FRAMES = 4


def without_message(error: BaseException) -> dict[str, str]:
    """What kind of error it is and where it came up, innermost place first."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames)]
    return {"error": type(error).__name__, "at": " < ".join(places)}
