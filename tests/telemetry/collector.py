"""A collector: takes spans as OTLP over HTTP has them, in protobuf, and keeps them to be looked at."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.hosting import hosted
from tests.support.server import eventually

_PATH = "/v1/traces"


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A span as it was sent. Ids are hex, ``parent_id`` empty at a root, ``links`` pairs of trace and span."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    is_error: bool
    start: int
    end: int
    resource: dict[str, Any]
    events: int

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]


class Collector:
    """``spans``: every one that came; ``bodies``: what came, as it came; ``headers`` of each request."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What has a process trace to it, without delay."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.base_url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def of(self, trace_id: str) -> dict[str, Span]:
        """The spans of a trace, by name; fails where two have one."""
        found = [span for span in list(self.spans) if span.trace_id == trace_id]
        by_name = {span.name: span for span in found}
        assert len(by_name) == len(found), [span.name for span in found]
        return by_name

    def all_with(self, name: str, value: object) -> list[Span]:
        """The spans with an attribute of that value."""
        return [span for span in list(self.spans) if span.attributes.get(name) == value]

    def wait_for(self, name: str, **attributes: object) -> Span:
        """A span by its name and attributes (with ``_`` for dots), once it is there; the newest of several."""
        wanted = {key.replace("__", "\0").replace("_", ".").replace("\0", "_"): v for key, v in attributes.items()}

        def found() -> list[Span]:
            spans = [span for span in list(self.spans) if span.name == name]
            return [span for span in spans if all(span.attributes.get(key) == v for key, v in wanted.items())]

        eventually(
            lambda: bool(found()), f"a span {name} with {wanted}; there are {sorted({s.name for s in self.spans})}"
        )
        return found()[-1]

    def no_orphans(self, *, but: str) -> None:
        """Each parent has been sent too, but for one that came from outside."""
        known = {(span.trace_id, span.span_id) for span in self.spans}
        lost = [s.name for s in self.spans if s.parent_id not in ("", but) and (s.trace_id, s.parent_id) not in known]
        assert not lost, lost

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()  # aiohttp undoes a content encoding
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        assert request.content_type == "application/x-protobuf"
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.spans += _read(body)
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector until the end of the ``with``."""
    collector = Collector(0)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post(_PATH, collector.take)
    with hosted(app) as (port,):
        collector.base_url = f"http://127.0.0.1:{port}"
        yield collector


def _read(body: bytes) -> Iterator[Span]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {each.key: _value(each.value) for each in of_resource.resource.attributes}
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    attributes={each.key: _value(each.value) for each in span.attributes},
                    links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    is_error=span.status.code == Status.STATUS_CODE_ERROR,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    resource=resource,
                    events=len(span.events),
                )


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
