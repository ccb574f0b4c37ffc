"""Things tried, one by one: what was found or, where something is wrong, what it is and what to do."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from safelight.domain.errors import SafelightError


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing tried. ``detail`` says what was found or, if it is not ``ok``, what is wrong and what to do."""

    name: str
    ok: bool
    detail: str


def tried(name: str, look: Callable[[], str]) -> Check:
    """What came of a look: its answer, or the words of what it raised."""
    try:
        return Check(name=name, ok=True, detail=look())
    except (SafelightError, OSError) as error:
        return failed(name, error)


def failed(name: str, error: SafelightError | OSError) -> Check:
    """A look that raised."""
    return Check(name=name, ok=False, detail=str(error) if isinstance(error, SafelightError) else f"{error}.")
