"""Templates, and how values are written in them: money to the last digit, times in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlencode

import jinja2

from safelight.dashboard.assets import files_in
from safelight.domain.generations import State
from safelight.domain.money import format_usd

_STATES = {
    State.QUEUED: ("queued", "○"),
    State.RUNNING: ("running", "◐"),
    State.UNKNOWN: ("unknown", "?"),
    State.COMPLETED: ("completed", "●"),
    State.FAILED: ("failed", "✕"),
    State.CANCELED: ("canceled", "–"),
}


class Addresses(Protocol):
    """Where things are, as a browser asks for them."""

    def at(self, path: str) -> str: ...

    def asset(self, name: str) -> str: ...


def make_environment(site: Addresses) -> jinja2.Environment:
    """Templates in which all text is escaped, and a name that is not given is an error."""
    environment = jinja2.Environment(
        # Read at once: all are of one release, whatever is installed meanwhile.
        loader=jinja2.DictLoader({name: text.decode() for name, text in files_in("templates", [".html"])}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"at": site.at, "asset": site.asset, "query": query_of, "state_mark": _state_mark}
    environment.filters |= {
        "usd": usd,
        "moment": moment,
        "machine_time": machine_time,
        "duration": duration,
        "size": size,
        "count": count,
        "thousandths": thousandths,
    }
    return environment


def usd(nanos: int | None) -> str:
    """Dollars, exact: ``$0.0405`` or ``$1,000.00``, with two decimals or more."""
    if nanos is None:
        return "–"
    whole, _, rest = format_usd(abs(int(nanos))).partition(".")
    return f"{'-' if nanos < 0 else ''}${int(whole):,}.{rest}"


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second; the page says that all are."""
    return "–" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def machine_time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float | None) -> str:
    """Such as ``3.2 s``, ``4 min 5 s``, ``6 h 10 min`` or ``3 d 2 h``."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == int(seconds) else f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, name, lesser, lesser_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // lesser
            return f"{whole // unit} {name}" + (f" {rest} {lesser_name}" if rest else "")
    raise AssertionError(seconds)


def size(size_bytes: int) -> str:
    """Such as ``812 B``, ``3.4 KB`` or ``1.2 MB`` (powers of ten)."""
    value, units = float(size_bytes), ["B", "KB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" or value >= 100 else f"{value:.1f} {units[0]}"


def count(number: int) -> str:
    """With thin spaces between thousands: they are no part of the number when it is copied with commas or points."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def thousandths(number: int) -> str:
    """Thousandths as a number: ``2.5`` or ``1 200``."""
    whole, rest = divmod(number, 1000)
    return count(whole) + (f".{rest:03d}".rstrip("0") if rest else "")


def query_of(given: Mapping[str, Any], **changes: Any) -> str:
    """``?a=1&b=2`` of what is given, with these changed; what is None or empty is left out."""
    kept = {name: value for name, value in {**given, **changes}.items() if value not in (None, "")}
    return f"?{urlencode(kept)}" if kept else ""


def _state_mark(state: str) -> tuple[str, str]:
    """A state's word and its sign."""
    return _STATES[State(state)]
