"""Every metric there is, in one place: what a process counts of itself, and what the database tells of all nodes.

Labels are closed sets: a route's template, a code, a step, a model or a connection of the catalog. Never a workspace,
a key, an id, or anything else that whoever sends a request chooses. Names and units are as Prometheus wants them
(https://prometheus.io/docs/practices/naming/), but for money, which is nano-dollars here as everywhere.

What happens is told through ``telemetry.observe``; no other module counts anything.
"""

from __future__ import annotations

import math
import platform
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from safelight import __version__

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "min"]

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nothing here asks for
REGISTRY = CollectorRegistry()
"""Of this process."""


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """``text``: what it is. ``worry``: when to look at it. ``merge``: what a node makes of its processes' values.

    ``of_cluster``: it is asked of the database, once for all nodes.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    text: str
    worry: str = ""
    merge: Merge = "sum"
    of_cluster: bool = False


DECLARED: dict[str, Declaration] = {}
"""By name."""

_QUICK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LONG_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_LAG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def _declare(declaration: Declaration) -> Declaration:
    assert declaration.name not in DECLARED, declaration.name
    DECLARED[declaration.name] = declaration
    return declaration


def _counter(name: str, text: str, *labels: str, worry: str = "") -> Counter:
    _declare(Declaration(name=name, kind="counter", labels=labels, text=text, worry=worry))
    return Counter(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...], worry: str = "") -> Histogram:
    _declare(Declaration(name=name, kind="histogram", labels=labels, text=text, worry=worry))
    return Histogram(name, text, labels, buckets=buckets, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str, merge: Merge = "sum", worry: str = "") -> Gauge:
    _declare(Declaration(name=name, kind="gauge", labels=labels, text=text, worry=worry, merge=merge))
    return Gauge(name, text, labels, registry=REGISTRY)


def _of_cluster(name: str, text: str, *labels: str, worry: str = "") -> Declaration:
    return _declare(
        Declaration(name=name, kind="gauge", labels=labels, text=text, worry=worry, merge="max", of_cluster=True)
    )


HTTP_REQUESTS = _counter(
    "safelight_http_requests_total",
    "HTTP requests that ended, by the template of their route. Status 499: the client left.",
    "route",
    "method",
    "status",
    worry="More than 1% have a status of 500 or above.",
)
HTTP_SECONDS = _histogram(
    "safelight_http_request_duration_seconds",
    "From a request's head to the last byte of its answer, as handed to the server.",
    "route",
    buckets=_QUICK_SECONDS,
    worry="The 99th percentile of a route rises; streams and waits last as long as they are asked to.",
)
HTTP_IN_FLIGHT = _gauge("safelight_http_in_flight", "HTTP requests being answered.")
REFUSALS = _counter(
    "safelight_refusals_total",
    "Requests answered with an error of the client's, by the error's code.",
    "code",
    worry="A sudden change.",
)
DOWNLOADS_BYTES = _counter("safelight_downloads_bytes_total", "Bytes of media handed to the server for clients.")

GENERATIONS_ENDED = _counter(
    "safelight_generations_total",
    "Generations that ended: completed, failed, refused (by a content policy, or as a backend does not take them) or "
    "canceled.",
    "type",
    "model",
    "outcome",
    worry="Of completed and failed, less than 95% are completed.",
)
STEP_SECONDS = _histogram(
    "safelight_generation_duration_seconds",
    "What a generation spends in a step: queue (until a runner takes it), backend, deliver and settle.",
    "type",
    "model",
    "step",
    buckets=_LONG_SECONDS,
    worry="queue or settle rises: too few workers, or a slow database.",
)
LEASES_LOST = _counter(
    "safelight_leases_lost_total",
    "Generations that a runner lost to another, as it was silent for too long.",
    worry="It rises at all: a process was stopped, or the database away.",
)

PROVIDER_CALLS = _counter(
    "safelight_provider_calls_total",
    "Calls to backends, by kind of provider: submit, poll, find, cancel, and fetch (of what was made). The result is "
    "ok, why it failed, or unknown.",
    "provider",
    "call",
    "result",
    worry="auth or quota at all; transient rises; unknown rises.",
)
PROVIDER_SECONDS = _histogram(
    "safelight_provider_call_duration_seconds",
    "How long calls to backends take.",
    "provider",
    "call",
    buckets=_LONG_SECONDS,
    worry="The 99th percentile rises.",
)
BREAKER_OPEN = _gauge(
    "safelight_provider_breaker_open",
    "1 while a connection of the catalog is left alone by any process, as it kept failing or asked for it.",
    "provider",
    "connection",
    merge="max",
    worry="It is 1.",
)

MONEY = _counter(
    "safelight_money_nanos_total",
    "Nano-dollars moved: held, captured, released and credited. Counted once the transaction is committed; the books "
    "have it to the last digit.",
    "movement",
    worry="held - captured - released drifts from safelight_money_held_nanos.",
)

STORAGE_OPERATIONS = _counter(
    "safelight_storage_operations_total",
    "Operations of the media store: put, get, read (a range, for a download), delete, look and list.",
    "operation",
    "result",
    worry="A result of error.",
)
STORAGE_SECONDS = _histogram(
    "safelight_storage_operation_duration_seconds",
    "How long they take; of a read until its first bytes.",
    "operation",
    buckets=_QUICK_SECONDS,
    worry="put rises.",
)
STORAGE_OPERATION_BYTES = _counter(
    "safelight_storage_operation_bytes_total", "Bytes put into the media store, and got from it whole.", "operation"
)

WEBHOOK_ATTEMPTS = _counter(
    "safelight_webhook_attempts_total",
    "Attempts at deliveries of webhooks: delivered, retry (another attempt follows) or failed (none does).",
    "result",
    worry="failed rises.",
)

BUILD_INFO = _gauge("safelight_build_info", "1; its labels tell what runs.", "version", "python", merge="max")
BUILD_INFO.labels(__version__, platform.python_version()).set(1)
CERTIFICATE_SECONDS = _gauge(
    "safelight_certificate_expires_seconds",
    "Seconds until the chain ends that files are signed with.",
    merge="min",
    worry="Less than 14 days.",
)
CERTIFICATE_SECONDS.set(math.nan)  # not known: nothing is signed, or not by this process
DB_POOL_WAITING = _gauge(
    "safelight_db_pool_waiting",
    "Who waits for a connection to the database.",
    worry="It stays above 0: raise SAFELIGHT_DATABASE_POOL_SIZE.",
)
LOOP_LAG_SECONDS = _histogram(
    "safelight_event_loop_lag_seconds",
    "How late the event loop of a process is, looked at once a second.",
    "process",
    buckets=_LAG_SECONDS,
    worry="The 99th percentile is above 0.25.",
)

GENERATIONS = _of_cluster(
    "safelight_generations",
    "Generations that are queued, running or unknown.",
    "type",
    "state",
    worry="unknown is above 0 for 15 minutes.",
)
QUEUE_OLDEST = _of_cluster(
    "safelight_queue_oldest_seconds",
    "How long the first in each queue waits; 0 where none does.",
    "queue",
    worry="Above 60.",
)
WORKERS = _of_cluster("safelight_workers", "Worker processes that live, of all nodes.", worry="0.")
MONEY_HELD = _of_cluster("safelight_money_held_nanos", "Nano-dollars that are held now.")
BOOKS_OK = _of_cluster(
    "safelight_books_ok", "1 where the books balanced when they were last looked at.", worry="0: wake somebody."
)
BOOKS_CHECKED = _of_cluster(
    "safelight_books_checked_seconds", "Seconds since the books were last looked at.", worry="Above 3600."
)
STORAGE_BYTES = _of_cluster("safelight_storage_bytes", "Bytes of media that are kept.")
DELETIONS_OVERDUE = _of_cluster(
    "safelight_deletions_overdue",
    "Files past their time that are still there.",
    worry="Above 0 for 5 minutes.",
)
WEBHOOK_OLDEST = _of_cluster(
    "safelight_webhook_oldest_pending_seconds",
    "How long the delivery waits that is due for longest; 0 where none is due.",
    worry="Above 600.",
)
WEBHOOKS_DISABLED = _of_cluster("safelight_webhook_endpoints_disabled", "Endpoints that are disabled.")
DATABASE_UP = _of_cluster(
    "safelight_database_up",
    "1 where the database answered; at 0 the other metrics of this page are absent.",
    worry="0.",
)

# What moves is told from the first day, at zero: a rate needs a value before the first change.
for _movement in ("held", "captured", "released", "credited"):
    MONEY.labels(_movement)
for _result in ("delivered", "retry", "failed"):
    WEBHOOK_ATTEMPTS.labels(_result)
