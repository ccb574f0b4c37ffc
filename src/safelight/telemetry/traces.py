"""Spans: what of the way of a request and of a generation can be looked at afterwards, in the operator's collector.

Nothing is traced unless ``safelight.telemetry.exporting`` sets what makes and sends spans. Until then each call here is
a look at one variable. See docs/tracing.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import TracebackType
from typing import Protocol, TypeAlias

import msgspec

Value: TypeAlias = str | int | float | bool | None
Attributes: TypeAlias = Mapping[str, Value]


class Kind(Enum):
    """What a span is to those next to it. Source: OpenTelemetry specification, "SpanKind"."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    """It begins what goes on after it, elsewhere ..."""
    CONSUMER = "CONSUMER"
    """... and this is that."""


class Span(Protocol):
    """A span while it is open."""

    def set(self, name: str, value: Value) -> None:
        """Note an attribute; None is none."""

    def rename(self, name: str) -> None: ...

    def fail(self, error_type: str) -> None:
        """It ended badly: with one of few words, never with a message."""

    def __enter__(self) -> Span: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Tracer(Protocol):
    """What makes spans, and sends them. ``parent`` and ``link`` are values of ``traceparent`` (W3C Trace Context)."""

    def open(
        self, name: str, kind: Kind, attributes: Attributes, *, parent: str | None, link: str | None, is_root: bool
    ) -> Span: ...

    def current(self) -> Span: ...

    def ids(self) -> tuple[str, str] | None: ...

    def traceparent(self) -> str | None: ...

    async def close(self, seconds: float) -> None: ...


class _Untraced:
    """The span that there is while nothing is traced."""

    def set(self, name: str, value: Value) -> None: ...

    def rename(self, name: str) -> None: ...

    def fail(self, error_type: str) -> None: ...

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


UNTRACED = _Untraced()
_tracer: Tracer | None = None
_tells_prompt = False
_NO_ATTRIBUTES: Attributes = {}


def trace_by(tracer: Tracer | None, *, tells_prompt: bool) -> None:
    """Have spans of this process made by that from now on; None: by nobody. ``tells_prompt``: ``messages`` are told."""
    global _tracer, _tells_prompt
    _tracer, _tells_prompt = tracer, tells_prompt


def is_on() -> bool:
    """Whether this process traces."""
    return _tracer is not None


def span(
    name: str,
    attributes: Attributes = _NO_ATTRIBUTES,
    *,
    kind: Kind = Kind.INTERNAL,
    parent: str | None = None,
    link: str | None = None,
    is_root: bool = False,
) -> Span:
    """A span for the length of a ``with``, below the one around it. An exception that leaves it is told by its type.

    ``parent``: a ``traceparent`` that came from elsewhere, whose trace it goes on with. ``link``: one that it is
    connected with, and no part of. ``is_root``: it begins a trace, whatever is around it.
    """
    if _tracer is None:
        return UNTRACED
    return _tracer.open(name, kind, attributes, parent=parent, link=link, is_root=is_root)


def current() -> Span:
    """The span around the caller, to note something on it. It is not the caller's to end."""
    return UNTRACED if _tracer is None else _tracer.current()


def ids() -> tuple[str, str] | None:
    """The trace and the span around the caller, in hex; None: there is none."""
    return None if _tracer is None else _tracer.ids()


def traceparent() -> str | None:
    """What to hand on, so that others go on with this trace or link to this span; None: there is none."""
    return None if _tracer is None else _tracer.traceparent()


def messages(prompt: str) -> str | None:
    """A prompt as ``gen_ai.input.messages`` has it, in JSON; None: the operator has not asked for it.

    Source: semantic conventions for generative AI, ``gen-ai-input-messages.json``.
    """
    if _tracer is None or not _tells_prompt:
        return None
    return msgspec.json.encode([{"role": "user", "parts": [{"type": "text", "content": prompt}]}]).decode()
