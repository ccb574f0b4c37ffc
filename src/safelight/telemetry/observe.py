"""What the code says as it happens. Each place says it once; it is counted here, and may be traced here.

What takes time is a context manager, entered as it begins: its fields are filled in meanwhile, and it is told at the
end. What has no length is a function.
"""

from __future__ import annotations

import asyncio
from functools import cache
from time import perf_counter
from types import TracebackType
from typing import Literal, Self

from safelight.domain.generations import GenerationType, State
from safelight.domain.outcomes import CannotTell, Failed, FindOutcome, PollOutcome, SubmitOutcome, Unknown
from safelight.telemetry import metrics, names, spans, traces
from safelight.telemetry.traces import UNTRACED, Span

UNMATCHED = "unmatched"
"""The route of a request that no route was found for: there is none, or it was refused before."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_LEFT, _BROKEN = 499, 500

StepName = Literal["backend", "deliver", "settle"]
Call = Literal["submit", "poll", "find", "cancel", "fetch"]
Movement = Literal["held", "captured", "released", "credited"]
StoreOperation = Literal["put", "get", "read", "delete", "look", "list"]
AttemptResult = Literal["delivered", "retry", "failed"]

# Their sizes are those of the label sets, which are closed.
_requests = cache(metrics.HTTP_REQUESTS.labels)
_request_seconds = cache(metrics.HTTP_SECONDS.labels)
_step_seconds = cache(metrics.STEP_SECONDS.labels)
_calls = cache(metrics.PROVIDER_CALLS.labels)
_call_seconds = cache(metrics.PROVIDER_SECONDS.labels)
_operations = cache(metrics.STORAGE_OPERATIONS.labels)
_operation_seconds = cache(metrics.STORAGE_SECONDS.labels)
_operation_bytes = cache(metrics.STORAGE_OPERATION_BYTES.labels)
_money = cache(metrics.MONEY.labels)
_ended = cache(metrics.GENERATIONS_ENDED.labels)


class _Timed:
    """Something that takes time, and may be a span. ``seconds`` is there once it has ended."""

    __slots__ = ("_began", "_span", "seconds")

    def __enter__(self) -> Self:
        self._began = perf_counter()
        self._span = self._traced()
        self._span.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = perf_counter() - self._began
        try:
            self._ended(error)
        finally:
            self._span.__exit__(kind, error, trace)

    def _traced(self) -> Span:
        return UNTRACED

    def _ended(self, error: BaseException | None) -> None:
        raise NotImplementedError


class Request(_Timed):
    """An HTTP request. ``route`` is the template of the route that was found, ``status`` that of the answer, once it
    is on its way. ``head``: what is traced of it; None: nothing is. ``ids``: its trace and span."""

    __slots__ = ("_head", "ids", "method", "route", "status")

    def __init__(self, method: str, head: spans.Head | None = None) -> None:
        self._head = head
        self.ids: tuple[str, str] | None = None
        self.method = method
        self.route = UNMATCHED
        self.status = 0

    def __enter__(self) -> Self:
        metrics.HTTP_IN_FLIGHT.inc()
        super().__enter__()
        self.ids = None if self._head is None else traces.ids()
        return self

    def _traced(self) -> Span:
        return UNTRACED if self._head is None else spans.request(self._head)

    def _ended(self, error: BaseException | None) -> None:
        metrics.HTTP_IN_FLIGHT.dec()
        status = self.status
        if self._head is not None:
            spans.answered(self._span, self.method, None if self.route is UNMATCHED else self.route, status)
        if not status:
            status = _CLIENT_LEFT if error is None or isinstance(error, asyncio.CancelledError) else _BROKEN
        method = self.method if self.method in _METHODS else "other"
        _requests(self.route, method, str(status)).inc()
        _request_seconds(self.route).observe(self.seconds)


class Step(_Timed):
    """A step of a generation's life."""

    __slots__ = ("generation_id", "model", "name", "type")

    def __init__(self, name: StepName, generation_id: str, type_: GenerationType, model: str) -> None:
        self.name = name
        self.generation_id = generation_id
        self.type = type_.value  # as text it is looked up in a third of the time
        self.model = model

    def _traced(self) -> Span:
        return UNTRACED if self.name == "backend" else spans.step(self.name, self.generation_id)

    def _ended(self, error: BaseException | None) -> None:
        _step_seconds(self.type, self.model, self.name).observe(self.seconds)


class BackendCall(_Timed):
    """A call to a backend. ``result`` is to be filled in; else it is unknown, or failed where an error came out."""

    __slots__ = ("call", "generation_id", "model", "provider", "result")

    def __init__(
        self, provider: str, call: Call, *, model: str | None = None, generation_id: str | None = None
    ) -> None:
        self.provider = provider
        self.call = call
        self.model = model
        """The backend's own name for it: no label."""
        self.generation_id = generation_id
        self.result: str | None = None

    def came(self, outcome: SubmitOutcome | PollOutcome | FindOutcome) -> None:
        """Fill in what came of it."""
        match outcome:
            case Failed(reason):
                self.result = reason.value
            case Unknown() | CannotTell():
                self.result = "unknown"
            case _:
                self.result = "ok"

    def _ended(self, error: BaseException | None) -> None:
        result = self.result
        if result is None:
            # Who is canceled in a call, or waits too long, does not know what came of it.
            known = error is not None and not isinstance(error, asyncio.CancelledError | TimeoutError)
            result = "failed" if known else "unknown"
        _calls(self.provider, self.call, result).inc()
        _call_seconds(self.provider, self.call).observe(self.seconds)


class StoreCall(_Timed):
    """An operation of the media store."""

    __slots__ = ("operation",)

    def __init__(self, operation: StoreOperation) -> None:
        self.operation = operation

    def _ended(self, error: BaseException | None) -> None:
        # Who leaves a download, and an object that is not there, say nothing of the store.
        is_fault = error is not None and not isinstance(
            error, FileNotFoundError | asyncio.CancelledError | GeneratorExit
        )
        _operations(self.operation, "error" if is_fault else "ok").inc()
        _operation_seconds(self.operation).observe(self.seconds)


class WebhookAttempt(_Timed):
    """An attempt at a delivery. ``result``: what came of it; None: nothing was sent, or it is not on record."""

    __slots__ = ("delivery", "result")

    def __init__(self, delivery: spans.Delivery) -> None:
        self.delivery = delivery
        self.result: AttemptResult | None = None

    def came(self, status: int | None, error: str | None) -> None:
        """Fill in what the receiver answered, or why it did not."""
        self._span.set(names.HTTP_STATUS, status)
        if error is not None:
            self._span.fail(error if status is None else str(status))

    def _traced(self) -> Span:
        return spans.webhook(self.delivery)

    def _ended(self, error: BaseException | None) -> None:
        if self.result is not None:
            metrics.WEBHOOK_ATTEMPTS.labels(self.result).inc()


def refused(code: str) -> None:
    """A request was answered with an error of the client's; ``code`` is the error's."""
    metrics.REFUSALS.labels(code).inc()


def waited(type_: GenerationType, model: str, seconds: float) -> None:
    """A generation waited so long until its first runner took it."""
    _step_seconds(type_.value, model, "queue").observe(max(seconds, 0.0))


def held(nanos: int) -> None:
    """Money is held for a generation, and the transaction committed."""
    _money("held").inc(nanos)


def credited(nanos: int) -> None:
    """Credit was added, and the transaction committed. What is taken back is in the books alone: a counter rises."""
    _money("credited").inc(max(nanos, 0))


def settled(
    type_: GenerationType, model: str, state: State, error_code: str | None, *, captured_nanos: int, released_nanos: int
) -> None:
    """A generation ended, its hold resolved, and the transaction committed."""
    outcome = "refused" if state is State.FAILED and error_code in _REFUSED else state.value
    _ended(type_.value, model, outcome).inc()
    spans.settled(state, error_code, captured_nanos)
    _money("captured").inc(captured_nanos)
    _money("released").inc(released_nanos)


def lost_lease() -> None:
    """A runner found that somebody else has its generation."""
    metrics.LEASES_LOST.inc()


def downloaded(size_bytes: int) -> None:
    """So much of a file was handed to the server for a client."""
    metrics.DOWNLOADS_BYTES.inc(size_bytes)


def stored(operation: StoreOperation, size_bytes: int) -> None:
    """So many bytes were put into the store, or got from it whole."""
    _operation_bytes(operation).inc(size_bytes)


def loop_lag(process: Literal["api", "worker"], seconds: float) -> None:
    """The event loop is so late."""
    metrics.LOOP_LAG_SECONDS.labels(process).observe(max(seconds, 0.0))


_REFUSED = frozenset({"content_policy_violation", "invalid_parameter"})
