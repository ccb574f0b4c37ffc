"""The idempotency key of each call of a tool that orders work: a request that comes again is the same order.

What says that a request is another's repeat depends on how it came:

====================================  ===============================================================================
the tool's ``idempotency_key``        that; it is the caller's own word
a session (2025-11-25, stdio)         the session and the request's id, which a session uses once
``traceparent`` (2026-07-28)          that and the request's id: a trace's span is one request
nothing of these (2026-07-28)         a request like one whose connection broke before its answer was there, within ten
                                      minutes, to the same process
====================================  ===============================================================================

Of the last kind two requests alike are two orders as long as both are answered: hosts that connect anew for each call
number all of them alike.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

_LOST_SECONDS = 600.0
_MOST_LOST = 10_000


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request came from. ``who``: what tells one key's requests from another's. ``session``: if it has one."""

    who: str
    session: str | None


class Keys:
    """Makes keys, and remembers those of answers that got lost."""

    def __init__(self) -> None:
        self._lost: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def key_of(self, origin: Origin, request_id: object, params: Mapping[str, Any]) -> CallKey:
        """The key of a ``tools/call`` whose arguments have none of their own."""
        meta = params.get("_meta") or {}
        call = [origin.who, type(request_id).__name__, request_id, params.get("name"), params.get("arguments")]
        trace = meta.get("traceparent") if isinstance(meta, Mapping) else None
        if origin.session is not None:
            return CallKey(_digest(["session", origin.session, *call]), None)
        if isinstance(trace, str) and trace:
            return CallKey(_digest(["trace", trace, *call]), None)
        likeness = _digest(["alike", *call, meta])
        key, since = self._lost.pop(likeness, ("", 0.0))
        if not key or time.monotonic() - since > _LOST_SECONDS:
            key = f"mcp-{secrets.token_hex(16)}"
        return CallKey(key, likeness)

    def answer_is_lost(self, key: CallKey) -> None:
        """The one who asked has left, or their connection broke: the same once more is the same order."""
        if key.likeness is not None:
            self._lost[key.likeness] = key.text, time.monotonic()
            while len(self._lost) > _MOST_LOST:
                self._lost.popitem(last=False)


class CallKey(msgspec.Struct, frozen=True):
    """A call's key. ``likeness``: where nothing identifies the call, what it shares with a repeat."""

    text: str
    likeness: str | None


def key_of_words(words: str) -> str:
    """The caller's own word as a header can say it: as it is, or its digest."""
    if words.isascii() and words.isprintable() and words == words.strip():
        return words
    return _digest(["own", words])


def key_of_image(key: str, place: int) -> str:
    """That of one of several images of a call, from 0."""
    return key if place == 0 else f"{key}.{place + 1}"


def _digest(parts: list[object]) -> str:
    return f"mcp-{hashlib.sha256(msgspec.json.encode(parts, order='deterministic')).hexdigest()}"
