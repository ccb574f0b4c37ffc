"""Where traces go, if they are asked for: OpenTelemetry's own variables say so.

``safelight.telemetry.otlp`` alone imports the SDK (the extra ``otel``), and is imported where it is asked for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from safelight.domain.errors import ConfigurationError
from safelight.domain.text import cut
from safelight.telemetry import traces

# Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "Environment Variable Specification".
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"


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
    try:
        endpoint = urlsplit(environ[variable].strip())
        port = f":{endpoint.port}" if endpoint.port else ""
    except ValueError:
        endpoint, port = urlsplit(""), ""
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
    return f"{endpoint.scheme}://{endpoint.hostname}{port}"


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    except ModuleNotFoundError:  # of a part of the name
        return False


@contextlib.asynccontextmanager
async def tracing(*, tells_prompt: bool, flush_seconds: float) -> AsyncIterator[None]:
    """Trace what this process does in the meantime, where that is asked for; send what is left at the end, in time.

    ``tells_prompt``: the prompt is traced too. For a process that forks no more, as what sends the spans is a thread.
    Raises ``ConfigurationError``.
    """
    if not is_asked_for():
        yield
        return
    check()
    from safelight.telemetry.otlp import OtlpTracer

    try:
        mine = OtlpTracer()
    except ValueError as error:  # the SDK reads the rest of its variables as it begins
        raise ConfigurationError(
            f"A variable of OpenTelemetry's (OTEL_...) has a value that it does not take: "
            f"{cut(str(error).rstrip('.'))}. Correct it, or leave it out."
        ) from None
    traces.trace_by(mine, tells_prompt=tells_prompt)
    try:
        yield
    finally:
        traces.trace_by(None, tells_prompt=False)
        await mine.close(flush_seconds)
