"""Every span there is: its name, its kind, and what it tells. docs/tracing.md has the same, as a table.

Nothing that is told is a prompt (unless the operator asked for it), media, a key or a signature: not a path's query,
not a header, not the message of an error.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from safelight.domain.generations import GenerationType, State
from safelight.domain.text import cut
from safelight.telemetry import names, traces
from safelight.telemetry.logs import redact_text
from safelight.telemetry.traces import Kind, Span, Value


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What an HTTP request begins with, as far as it is traced. ``host`` is the header of that name."""

    method: str
    path: str
    scheme: str
    host: str
    version: str
    traceparent: str | None
    request_id: str


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A generation that is run. ``traceparent``: where its submission was traced, if it was."""

    id: str
    workspace_id: int
    type: GenerationType
    model: str
    attempt: int
    traceparent: str | None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend is asked for. ``address``: its base URL; ``is_local``: it computes in this service."""

    generation_id: str
    type: GenerationType
    kind: str
    connection: str
    upstream_model: str
    address: str | None
    is_local: bool
    seed: int | None
    prompt: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is told to a webhook. ``traceparent``: where its generation's submission was traced."""

    event_id: str
    event: str
    attempt: int
    generation_id: str | None
    workspace_id: int
    url: str | None
    traceparent: str | None


def request(head: Head) -> Span:
    """An HTTP request, from its head to the last of its answer. It goes on with its sender's trace."""
    method = head.method if head.method in names.METHODS else names.OTHER
    address, port = _authority(f"//{head.host}")
    attributes: dict[str, Value] = {
        names.HTTP_METHOD: method,
        names.HTTP_METHOD_ORIGINAL: None if method == head.method else cut(head.method),
        names.URL_PATH: redact_text(cut(head.path)),
        names.URL_SCHEME: head.scheme,
        names.SERVER_ADDRESS: address,
        names.SERVER_PORT: port,
        names.PROTOCOL_VERSION: head.version,
        names.REQUEST_ID: head.request_id,
    }
    is_root = head.traceparent is None
    return traces.span(_named(method), attributes, kind=Kind.SERVER, parent=head.traceparent, is_root=is_root)


def answered(span: Span, method: str, route: str | None, status: int) -> None:
    """How a request was answered. ``status`` 0: it was not."""
    if route is not None:
        span.rename(f"{_named(method)} {route}")
        span.set(names.HTTP_ROUTE, route)
    if status:
        span.set(names.HTTP_STATUS, status)
    if status >= 500:
        span.fail(str(status))


def submit(type_: GenerationType, model: str, workspace_id: int) -> Span:
    """The checks of a request for generations, up to their being on record; of a video, the beginning of its work."""
    attributes = {names.TYPE: type_.value, names.MODEL: cut(model), names.WORKSPACE_ID: workspace_id}
    kind = Kind.PRODUCER if type_ is GenerationType.VIDEO else Kind.INTERNAL
    return traces.span("submit", attributes, kind=kind)


def run(work: Work) -> Span:
    """A run of a generation: a part of the request that waits for it, or a trace of its own with a link to that."""
    attributes: dict[str, Value] = {
        names.GENERATION_ID: work.id,
        names.WORKSPACE_ID: work.workspace_id,
        names.TYPE: work.type.value,
        names.MODEL: work.model,
        names.ATTEMPT: work.attempt,
    }
    if traces.ids() is not None:
        return traces.span("run", attributes)
    return traces.span("run", attributes, kind=Kind.CONSUMER, link=work.traceparent)


def step(name: Literal["deliver", "settle"], generation_id: str) -> Span:
    """A step of a run."""
    return traces.span(name, {names.GENERATION_ID: generation_id})


def settled(state: State, error_code: str | None, captured_nanos: int) -> None:
    """How the run around the caller ended a generation."""
    span = traces.current()
    span.set(names.OUTCOME, state.value)
    span.set(names.COST_NANOS, captured_nanos)
    if state is State.FAILED:
        span.fail(error_code or names.OTHER)


def order(order: Order) -> Span:
    """An order that a backend is given, until what comes of it is known: asking about its job is a part of that."""
    model = order.upstream_model
    address, port = _authority(order.address or "")
    attributes: dict[str, Value] = {
        names.OPERATION: names.GENERATE_CONTENT,
        names.PROVIDER: names.PROVIDER_OF_KIND.get(order.kind, order.kind),
        names.REQUEST_MODEL: model,
        names.REQUEST_SEED: order.seed,
        names.OUTPUT_TYPE: order.type.value,
        names.INPUT_MESSAGES: traces.messages(order.prompt),
        names.SERVER_ADDRESS: address,
        names.SERVER_PORT: port,
        names.GENERATION_ID: order.generation_id,
        names.CONNECTION: order.connection,
    }
    kind = Kind.INTERNAL if order.is_local else Kind.CLIENT
    return traces.span(f"{names.GENERATE_CONTENT} {model}", attributes, kind=kind)


def webhook(delivery: Delivery) -> Span:
    """An attempt at telling a webhook an event: a part of the trace in which its generation was asked for."""
    attributes: dict[str, Value] = {
        names.EVENT_ID: delivery.event_id,
        names.EVENT_TYPE: delivery.event,
        names.ATTEMPT: delivery.attempt,
        names.GENERATION_ID: delivery.generation_id,
        names.WORKSPACE_ID: delivery.workspace_id,
        names.HTTP_METHOD: "POST",
        # Of the address no more than the host: what is behind it may be a secret of the receiver's.
        names.SERVER_ADDRESS: _authority(delivery.url or "")[0],
    }
    is_root = delivery.traceparent is None
    return traces.span("webhook", attributes, kind=Kind.CLIENT, parent=delivery.traceparent, is_root=is_root)


def _named(method: str) -> str:
    """A method as it stands in a span's name. Source: semantic conventions, "HTTP spans", Name."""
    return method if method in names.METHODS else "HTTP"


def _authority(url: str) -> tuple[str | None, int | None]:
    """The host and the port of a URL, as far as it has them."""
    try:
        parts = urlsplit(url)
        return parts.hostname and cut(parts.hostname), parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None, None
