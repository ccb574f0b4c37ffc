"""The application of an API process, put together. A worker imports none of it: it would be a tenth of its memory."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from functools import partial
from importlib.util import find_spec

from starlette.types import ASGIApp

from safelight.accounts.keys import Authenticator
from safelight.api.app import make_app as make_api
from safelight.api.auth import ApiState
from safelight.api.dialect import Dialect
from safelight.api.getimg import examples, wire
from safelight.api.getimg import routes as getimg
from safelight.api.openai import routes as openai
from safelight.api.waits import Waits
from safelight.dashboard import routes as dashboard
from safelight.domain.errors import ConfigurationError
from safelight.lifecycle.changes import Changes
from safelight.lifecycle.runner import Runner
from safelight.node.connections import Connections, make_room
from safelight.node.settings import Settings, load_settings
from safelight.telemetry.logs import configure_logging
from safelight.telemetry.recording import recording
from safelight.telemetry.snapshots import metrics_folder
from safelight.wiring import grace_seconds, load_catalog, open_parts, proxies_of, traced
from safelight.wiring.checks import inspect

STOPPING = signal.SIGUSR1
"""What an API process is sent right before it is asked to end."""


def create_app() -> ASGIApp:
    """The API for one server process; settings come from the environment."""
    settings = load_settings()
    configure_logging(settings)

    room = make_room()
    proxies = proxies_of(settings)
    connections = Connections(settings.port, capacity=room.kept, exempt=proxies)

    @contextlib.asynccontextmanager
    async def open_state() -> AsyncIterator[ApiState]:
        async with (
            traced(settings),
            recording(metrics_folder(settings), "api"),
            open_parts(settings, answers_soon=True) as parts,
        ):
            connections.start()
            runner = Runner(parts.running)
            stopping = _ends_runs_at_signal(runner, parts.viewing.changes, settings)
            try:
                yield ApiState(
                    public_url=settings.base_url,
                    submitting=parts.submitting,
                    running=parts.running,
                    viewing=parts.viewing,
                    keeping=parts.keeping,
                    runner=runner,
                    authenticator=Authenticator(parts.db),
                    waits=Waits(capacity=room.kept, most=settings.key_waits),
                    accel_prefix=settings.accel_prefix,
                    redirects=settings.download_redirect == "on",
                    has_exact_sizes=settings.openai_sizes == "exact",
                    event_json=wire.as_its_get_answers,
                    event_examples=examples.EVENTS,
                )
            finally:
                await asyncio.gather(*stopping)
                await runner.close(grace_seconds(settings))
                await asyncio.to_thread(connections.close)

    return make_api(
        open_state,
        dialects=load_dialects(settings),
        most_open=settings.address_concurrency,
        most_refusals=settings.address_refusals,
        capacity=room.kept,
        proxies=proxies,
        trusted_header=settings.dashboard_trusted_header,
        connections=connections,
    )


def load_dialects(settings: Settings) -> tuple[Dialect, ...]:
    """What is spoken here; MCP is imported only where it is on. Raises ``ConfigurationError``."""
    always: tuple[Dialect, ...] = (getimg.DIALECT, openai.DIALECT)
    if settings.dashboard == "on":
        always = (*always, dashboard.open_dialect(settings, partial(inspect, load_catalog, settings)))
    if settings.mcp == "off":
        return always
    if find_spec("mcp") is None:
        raise ConfigurationError(
            "SAFELIGHT_MCP is on, and what serves it is not installed. Run: pip install 'safelight[mcp]'."
        )
    from safelight.api.mcp import routes as mcp

    return (*always, mcp.open_dialect(settings))


def _ends_runs_at_signal(runner: Runner, changes: Changes, settings: Settings) -> set[asyncio.Task[None]]:
    """At ``STOPPING`` let runs come to their end for a while, then hand them back; who only looks on comes again later.

    The server stops only once every request has its answer, and those of images wait for their runs.
    """
    stopping: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    def begin() -> None:
        changes.end_waits()
        stopping.add(loop.create_task(runner.close(grace_seconds(settings)), name="stopping"))

    loop.add_signal_handler(STOPPING, begin)
    return stopping
