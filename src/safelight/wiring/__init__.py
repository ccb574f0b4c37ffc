"""Where the parts meet: the only importer of concrete stores and providers."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import msgspec

from safelight.api.getimg import wire
from safelight.blobs.observed import observed
from safelight.db.pool import Connection, Database
from safelight.domain.catalog import Catalog, Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import Connection as DeclaredConnection
from safelight.domain.errors import ConfigurationError
from safelight.domain.money import parse_usd
from safelight.domain.ports import Backends, Host, Local, ProviderKind
from safelight.domain.signing import LinkSigner, parse_signing_keys
from safelight.jobs.parts import WorkerParts
from safelight.jobs.queues import LOCAL, RECONCILE, REMOTE, UPKEEP, make_reconcile_app, make_upkeep_app
from safelight.jobs.queues import make_app as make_jobs
from safelight.jobs.reconcile import heartbeat_seconds
from safelight.jobs.run_generation import enqueue
from safelight.jobs.worker import Queue, opened, work
from safelight.keeping.services import KeepingServices
from safelight.lifecycle.breaker import Breakers
from safelight.lifecycle.changes import Changes
from safelight.lifecycle.links import BackendLinks
from safelight.lifecycle.notify import SLOTS, WebhookDelivery
from safelight.lifecycle.polls import Polls
from safelight.lifecycle.presence import Presence
from safelight.lifecycle.processes import Teller
from safelight.lifecycle.refusals import Refusals
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.services import Limits, RunServices, SubmitServices, ViewServices
from safelight.node.operator_files import read_toml
from safelight.node.processors import renderers
from safelight.node.secrets import read_secret
from safelight.node.settings import Settings
from safelight.providers.registry import KINDS, OpenBackends, check_binding, check_connection, check_connections
from safelight.references.decode import FencedDecoder
from safelight.references.fetch import ReferenceFetcher
from safelight.references.gather import ReferenceGatherer
from safelight.telemetry.exporting import tracing
from safelight.webhooks.sender import Sender
from safelight.wiring.checks import local_folders
from safelight.wiring.gauges import show_state
from safelight.wiring.opening import check_provenance as check_provenance
from safelight.wiring.opening import comfyui_snippet as comfyui_snippet
from safelight.wiring.opening import open_media_store as open_media_store
from safelight.wiring.opening import open_moderator as open_moderator
from safelight.wiring.opening import open_signer as open_signer
from safelight.wiring.opening import open_statement_signer as open_statement_signer
from safelight.wiring.opening import outbound_policy as outbound_policy
from safelight.wiring.opening import proxies_of as proxies_of
from safelight.wiring.opening import signing_keys_of as signing_keys_of

_FLUSH_SECONDS = 1.0  # what is left of the grace at a stop, once everything else has ended


def load_catalog(settings: Settings) -> Catalog:
    """The catalog that the settings name, or the one that ships; each connection that it uses can be opened.

    Raises ``ConfigurationError``.
    """
    catalog = read_declared(settings)
    try:
        for model in catalog.models.values():
            check_deadline(settings, model)
        check_connections(catalog, _host(settings))
    except ConfigurationError as error:
        raise ConfigurationError(f"{_catalog_path(settings)}: {error.message}") from None
    return catalog


def read_declared(settings: Settings) -> Catalog:
    """The catalog as it is written, whether or not its connections can be opened. Raises ``ConfigurationError``."""
    path = _catalog_path(settings)
    try:
        document = read_toml(path)
    except FileNotFoundError:
        raise ConfigurationError(f"There is no catalog {path}. Correct SAFELIGHT_CATALOG.") from None
    return read_catalog(document, source=str(path), kinds=KINDS)


def _catalog_path(settings: Settings) -> Path:
    return settings.catalog or Path(str(resources.files("safelight").joinpath("catalog.toml")))


def check_deadline(settings: Settings, model: Model) -> None:
    """Find that a model's deadline leaves no time for another node. Raises ``ConfigurationError``."""
    if model.deadline_seconds is not None and model.deadline_seconds <= settings.lease_seconds:
        raise ConfigurationError(
            f"model {model.id!r}: deadline_seconds ({model.deadline_seconds}) is not longer than "
            f"SAFELIGHT_LEASE ({settings.lease_seconds}s): what a lost node had begun would fail before another "
            "takes it up. Shorten the lease, or lengthen the deadline."
        )


def check_declared(settings: Settings, connection: DeclaredConnection) -> None:
    """Find what would keep a connection from being opened. Raises ``ConfigurationError``."""
    check_connection(connection, _host(settings))


def check_declared_binding(settings: Settings, catalog: Catalog, model: Model, place: int) -> None:
    """Find what would keep a model's binding from being served. Raises ``ConfigurationError``."""
    check_binding(catalog, model, place, model.bindings[place], _host(settings))


def kinds() -> Mapping[str, ProviderKind]:
    """The kinds of backends there are, by name."""
    return KINDS


@contextlib.asynccontextmanager
async def open_backends(settings: Settings, catalog: Catalog) -> AsyncIterator[Backends]:
    """The backends of one process; those that were opened are closed on the way out."""
    backends = OpenBackends(catalog, _host(settings))
    try:
        yield backends
    finally:
        await backends.close()


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """One process's parts, by who uses them."""

    submitting: SubmitServices
    running: RunServices
    viewing: ViewServices
    keeping: KeepingServices

    @property
    def db(self) -> Database:
        return self.keeping.db


@contextlib.asynccontextmanager
async def open_keeping(settings: Settings, *, answers_soon: bool = False) -> AsyncIterator[KeepingServices]:
    """What the keeping of files needs, and no backend; closed on the way out. ``settings`` must name a database.

    ``answers_soon``: clients wait for what is asked of the database.
    """
    if settings.database_url is None:
        raise ConfigurationError("There is no database. Set SAFELIGHT_DATABASE_URL, or use 'safelight up'.")
    signer = LinkSigner(parse_signing_keys(signing_keys_of(settings)), settings.base_url)
    work_dir = settings.data_dir.absolute() / "work"
    work_dir.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        db = Database(settings.database_url, pool_size=settings.database_pool_size, answers_soon=answers_soon)
        await db.open()
        stack.push_async_callback(db.close)
        store = observed(open_media_store(settings))
        stack.push_async_callback(store.close)
        media_threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="media")
        stack.callback(media_threads.shutdown, wait=False, cancel_futures=True)
        yield KeepingServices(
            db=db,
            store=store,
            signer=signer,
            statements=open_statement_signer(settings),
            retention_seconds=settings.retention_seconds,
            work_dir=work_dir,
            media_threads=media_threads,
            archive_after_seconds=settings.archive_after_seconds,
        )


@contextlib.asynccontextmanager
async def open_parts(settings: Settings, *, answers_soon: bool = False) -> AsyncIterator[Parts]:
    """Every part, opened; closed on the way out. As ``open_keeping``."""
    catalog = load_catalog(settings)
    async with contextlib.AsyncExitStack() as stack:
        keeping = await stack.enter_async_context(open_keeping(settings, answers_soon=answers_soon))
        assert settings.database_url is not None
        jobs = make_jobs(settings.database_url)
        backends = await stack.enter_async_context(open_backends(settings, catalog))

        async def put_on_queue(connection: Connection, generation_id: str, model_id: str) -> None:
            await enqueue(jobs, connection, generation_id, _queue(catalog, model_id))

        presence = Presence(settings.data_dir.absolute() / "runners")
        presence.open()
        stack.callback(presence.close)
        changes = Changes(settings.database_url, presence)
        changes.start()
        stack.push_async_callback(changes.close)
        policy = outbound_policy(settings)
        fetcher, decoder = ReferenceFetcher(policy), FencedDecoder()
        stack.push_async_callback(fetcher.close)
        stack.push_async_callback(decoder.close)
        moderator = open_moderator(settings)
        if moderator is not None:
            stack.push_async_callback(moderator.close)
        refusals = Refusals(keeping.db)
        stack.push_async_callback(refusals.close)
        limits, breakers = _limits(settings), Breakers()
        show_state(settings, keeping.db, catalog, breakers)
        kind = "api" if answers_soon else "worker"
        teller = Teller(keeping.db, presence, breakers, kind, local_folders(settings))
        teller.start()
        stack.push_async_callback(teller.close)
        yield Parts(
            submitting=SubmitServices(
                db=keeping.db,
                store=keeping.store,
                catalog=catalog,
                references=ReferenceGatherer(fetcher, decoder),
                moderator=moderator,
                enqueue=put_on_queue,
                presence=presence,
                limits=limits,
                work_dir=keeping.work_dir,
                refusals=refusals,
                webhook_policy=policy,
            ),
            running=RunServices(
                db=keeping.db,
                store=keeping.store,
                catalog=catalog,
                backends=backends,
                enqueue=put_on_queue,
                provenance=open_signer(settings),
                tells_prompt=settings.provenance_prompt == "on",
                breakers=breakers,
                polls=Polls(),
                changes=changes,
                presence=presence,
                limits=limits,
                work_dir=keeping.work_dir,
                media_threads=keeping.media_threads,
                links=BackendLinks(keeping.signer),
            ),
            viewing=ViewServices(db=keeping.db, signer=keeping.signer, changes=changes, limits=limits),
            keeping=keeping,
        )


def traced(settings: Settings) -> contextlib.AbstractAsyncContextManager[None]:
    """Where spans go meanwhile, as the settings say."""
    return tracing(tells_prompt=settings.traces_prompt == "on", flush_seconds=_FLUSH_SECONDS)


def grace_seconds(settings: Settings) -> float:
    """How long runs may go on once a process is asked to end."""
    return max(settings.shutdown_seconds - 2, 0.5)


async def run_worker(settings: Settings, stop: asyncio.Event, when_working: Callable[[], None] = lambda: None) -> None:
    """Work on the queues until ``stop`` is set; then finish or hand back what is under way.

    ``when_working`` is called once everything is there to work on.
    """
    assert settings.database_url is not None
    async with traced(settings), open_parts(settings) as parts:
        places = {LOCAL: _local_slots(parts.running), REMOTE: settings.worker_concurrency}
        app = make_jobs(settings.database_url, places)
        async with opened(app, parts.db, stop) as is_open:
            if is_open:
                when_working()
                queues = (
                    *(Queue(app, name, concurrency) for name, concurrency in places.items()),
                    Queue(make_upkeep_app(app.connector), UPKEEP, 4, fetch_seconds=1.0),
                    Queue(make_reconcile_app(app.connector), RECONCILE, 1, fetch_seconds=1.0),
                )
                await _work_on(queues, parts, settings, stop)


async def _work_on(queues: Sequence[Queue], parts: Parts, settings: Settings, stop: asyncio.Event) -> None:
    runner, webhooks = Runner(parts.running), open_webhooks(parts)
    webhooks.start()
    try:
        mine = WorkerParts(running=parts.running, keeping=parts.keeping, runner=runner)
        await work(queues, mine, stop, heartbeat_seconds=heartbeat_seconds(settings.lease_seconds))
    finally:
        grace = grace_seconds(settings)
        await asyncio.gather(runner.close(grace), webhooks.close(grace))


def open_webhooks(parts: Parts) -> WebhookDelivery:
    """The delivery of events from this process, to be started and closed."""
    sender = Sender(parts.submitting.webhook_policy, max_connections=SLOTS)
    return WebhookDelivery(parts.viewing, sender, wire.as_its_get_answers)


def _queue(catalog: Catalog, model_id: str) -> str:
    model = catalog.models.get(model_id)
    is_local = model is not None and KINDS[catalog.connections[model.bindings[0].connection].kind].is_local
    return LOCAL if is_local else REMOTE


def _local_slots(running: RunServices) -> int:
    """How many generations this machine computes at once. At least one: others' catalogs may put work here too."""
    opened = [
        running.backends.open(used.name) for used in running.catalog.used_connections() if KINDS[used.kind].is_local
    ]
    return max(1, sum(backend.provider.slots for backend in opened if isinstance(backend.provider, Local)))


def _host(settings: Settings) -> Host:
    render_processes = settings.render_processes or renderers()
    return Host(
        data_dir=settings.data_dir,
        render_processes=render_processes,
        read_secret=read_secret,
        catalog_dir=settings.data_dir if settings.catalog is None else settings.catalog.parent,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        image_rpm=settings.image_rpm,
        video_rpm=settings.video_rpm,
        concurrency=settings.concurrency,
        image_deadline_seconds=settings.image_deadline_seconds,
        video_deadline_seconds=settings.video_deadline_seconds,
        lease_seconds=settings.lease_seconds,
        retention_seconds=settings.retention_seconds,
        retention_max_seconds=settings.retention_max_seconds,
        low_balance_nanos=None if settings.low_balance is None else parse_usd(settings.low_balance),
    )
