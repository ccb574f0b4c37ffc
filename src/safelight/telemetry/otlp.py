"""Spans as OpenTelemetry's SDK makes them, sent over HTTP to the collector that the environment names.

Its own variables count as they do anywhere: service name, resource, headers, certificates, sampler, batches. The
provider is not the process's global one: what libraries would trace of themselves stays untraced.

A collector costs whoever is served nothing. Ended spans wait in a queue of bounded length for a thread that sends them;
what finds it full is dropped. That thread reads no more of an answer than a few KiB, follows no redirect, and says at
most one line a minute (``telemetry/logs.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Sequence
from types import TracebackType

import requests
from opentelemetry import trace as otel
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes as OtelAttributes

from safelight import __version__
from safelight.domain.errors import Kind as ErrorKind
from safelight.domain.errors import SafelightError
from safelight.telemetry import names
from safelight.telemetry.traces import Attributes, Kind, Span, Value

_MOST_ANSWER_BYTES = 4096
_KINDS = {kind: SpanKind[kind.value] for kind in Kind}
_PROPAGATOR = TraceContextTextMapPropagator()
_HEADER = "traceparent"
_OURS = (ErrorKind.INTERNAL, ErrorKind.BACKEND, ErrorKind.UNAVAILABLE, ErrorKind.UNKNOWN)


class OtlpTracer:
    """Traces this process from now on, until it is closed."""

    def __init__(self) -> None:
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.sampler = _AsItsLink(provider.sampler)
        self._exporter = OTLPSpanExporter(session=_session())
        provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._provider = provider
        self._tracer = provider.get_tracer("safelight", __version__)

    def open(
        self, name: str, kind: Kind, attributes: Attributes, *, parent: str | None, link: str | None, is_root: bool
    ) -> Span:
        context = Context() if is_root else None
        if parent is not None:
            context = otel.set_span_in_context(otel.NonRecordingSpan(_read(parent)), Context())
        linked = None if link is None else _read(link)
        span = self._tracer.start_span(
            name,
            context,
            _KINDS[kind],
            {name: value for name, value in attributes.items() if value is not None},
            links=[Link(linked)] if linked is not None and linked.is_valid else (),
            record_exception=False,
            set_status_on_exception=False,
        )
        return _OpenSpan(span)

    def current(self) -> Span:
        return _OpenSpan(otel.get_current_span())

    def ids(self) -> tuple[str, str] | None:
        context = otel.get_current_span().get_span_context()
        if not context.is_valid:
            return None
        return otel.format_trace_id(context.trace_id), otel.format_span_id(context.span_id)

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get(_HEADER)

    async def close(self, seconds: float) -> None:
        """Send what waits, and give up after so many seconds: the SDK itself would wait for longer than a stop may."""
        loop, is_sent = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(is_sent.set)

        threading.Thread(target=shut_down, name="last spans", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                await is_sent.wait()
        except TimeoutError:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it tries no more


class _OpenSpan:
    def __init__(self, span: otel.Span) -> None:
        self._span = span

    def set(self, name: str, value: Value) -> None:
        if value is not None:
            self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute(names.ERROR_TYPE, error_type)
        self._span.set_status(Status(StatusCode.ERROR))

    def __enter__(self) -> Span:
        self._token = attach(otel.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        if isinstance(error, SafelightError):
            self.set(names.ERROR_TYPE, error.code)
            if error.kind in _OURS:  # what is the client's own doing is no error, as in HTTP's spans
                self.fail(error.code)
        elif isinstance(error, Exception):  # one that is cancelled has not failed
            self.fail(type(error).__name__)
        detach(self._token)
        self._span.end()


class _AsItsLink(Sampler):
    """A trace that goes on where another left off, in another process or later, is kept if that one is.

    Its id is new, so that a sampler which goes by ids would keep one and not the other. What is below a span of this
    process is kept with it. All the rest is for the sampler of the environment to say.
    """

    def __init__(self, usual: Sampler) -> None:
        self._usual = usual

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: OtelAttributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = otel.get_current_span(parent_context).get_span_context()
        before = links[0].context if links and not parent.is_valid else parent
        if before is parent and (parent.is_remote or not parent.is_valid):
            return self._usual.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        decision = Decision.RECORD_AND_SAMPLE if before.trace_flags.sampled else Decision.DROP
        return SamplingResult(decision, attributes)

    def get_description(self) -> str:
        return f"AsItsLink{{{self._usual.get_description()}}}"


def _read(traceparent: str) -> SpanContext:
    """The span that a ``traceparent`` names; an invalid one where it names none. Nothing else of the sender's is taken:
    no ``tracestate``, no baggage."""
    return otel.get_current_span(_PROPAGATOR.extract({_HEADER: traceparent}, Context())).get_span_context()


def _resource() -> Resource:
    """Who sends the spans. What the environment says of it counts before what we say."""
    said = OTELResourceDetector().detect().attributes
    ours = {SERVICE_NAME: "safelight", SERVICE_VERSION: __version__, SERVICE_INSTANCE_ID: str(uuid.uuid4())}
    return Resource.create({name: said.get(name, value) for name, value in ours.items()})


def _session() -> requests.Session:
    """What calls the collector. Of its answer only the status counts, so no more than a little of the rest is read."""

    def read_little(response: requests.Response, *_: object, **__: object) -> None:
        response.raw.read(_MOST_ANSWER_BYTES)
        response.close()

    session = requests.Session()
    session.stream = True
    session.hooks["response"].append(read_little)
    return session
