"""Spans: what of the way of a request and of a generation can be looked at afterwards, in the operator's collector.

Nothing is traced unless the environment names a collector, as OpenTelemetry's own variables do: then ``tracing`` opens
``safelight.telemetry.otlp``, which alone imports the SDK (the extra ``otel``). Until then each call here is a look at
one variable. See docs/tracing.md.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from importlib.util import find_spec
from types import TracebackType
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

import msgspec

from safelight.domain.errors import ConfigurationError

Value: TypeAlias = str | int | float | bool | None
Attributes: TypeAlias = Mapping[str, Value]

# Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "Environment Variable Specification".
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"


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


def is_asked_for(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment names a collector, and does not switch tracing off."""
    environ = os.environ if environ is None else environ
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(environ.get(name, "").strip() for name in _ENDPOINTS)


def check(environ: Mapping[str, str] | None = None) -> str:
    """Where traces go. Raises ``ConfigurationError`` where they are asked for, and cannot be sent."""
    environ = os.environ if environ is None else environ
    if not is_asked_for(environ):
        return "off"
    variable = next(name for name in _ENDPOINTS if environ.get(name, "").strip())
    endpoint = urlsplit(environ[variable].strip())
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname:
        raise ConfigurationError(f"{variable} is no URL such as http://collector:4318. Correct it, or leave it out.")
    for name in _PROTOCOLS:
        if environ.get(name, "").strip() not in ("", _HTTP):
            raise ConfigurationError(
                f"{name} is {environ[name].strip()!r}, and traces are sent by {_HTTP} alone. Set it to that, and "
                f"{variable} to the collector's port for HTTP (4318 as a rule)."
            )
    if not _is_installed():
        raise ConfigurationError(
            f"{variable} asks for traces, and what sends them is not installed. Run: pip install 'safelight[otel]'."
        )
    return f"{endpoint.scheme}://{endpoint.hostname}" + (f":{endpoint.port}" if endpoint.port else "")


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    except ModuleNotFoundError:  # of a part of the name
        return False


@contextlib.asynccontextmanager
async def tracing(*, tells_prompt: bool, flush_seconds: float) -> AsyncIterator[None]:
    """Trace what this process does in the meantime, where that is asked for; send what is left at the end, in time.

    ``tells_prompt``: ``messages`` are told. For a process that forks no more, as what sends the spans is a thread.
    Raises ``ConfigurationError``.
    """
    global _tracer, _tells_prompt
    if not is_asked_for():
        yield
        return
    check()
    from safelight.telemetry.otlp import OtlpTracer

    mine: Tracer = OtlpTracer()
    _tracer, _tells_prompt = mine, tells_prompt
    try:
        yield
    finally:
        _tracer = None
        await mine.close(flush_seconds)
