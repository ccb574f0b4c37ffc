"""The Procrastinate apps, and their four queues.

``local`` holds generations that a backend computes on the worker's own machine: a worker takes as many as it can
compute at once, so that other workers find the rest. ``remote`` holds those that a worker only waits for. ``upkeep``
holds what is done by the clock; it has a worker of its own, so that no number of generations holds it up. ``reconcile``
holds the one job of those that others wait for: a sweep that hangs, as its store is away, holds up no lost generation.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from procrastinate import App, BaseConnector, PsycopgConnector
from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool

from safelight.db.pool import Connection
from safelight.db.sessions import Session, is_sound, session_arguments
from safelight.jobs import archive, check_books, expire_events, reconcile, run_generation, sweep
from safelight.jobs.batches import BatchedJobs

LOCAL, REMOTE, UPKEEP, RECONCILE = "local", "remote", "upkeep", "reconcile"
_PATIENCE_SECONDS = 3.0


def make_app(database_url: str, places: Mapping[str, int] = MappingProxyType({})) -> App:
    """The app that runs generations. Putting a job on its queue on the caller's connection needs no opening.

    ``places``: how many generations its worker runs at once, by queue.
    """
    connector = PsycopgConnector(
        conninfo=database_url,
        min_size=1,
        max_size=4,
        # Its tries to connect come ever more rarely; who asks next tries anew.
        timeout=_PATIENCE_SECONDS,
        reconnect_timeout=_PATIENCE_SECONDS,
        kwargs=session_arguments(),
        configure=_commit_each,
        connection_class=Session,
        pool_factory=_pool,
    )
    app = App(connector=connector)
    app.job_manager = BatchedJobs(connector, places)
    app.task(name=run_generation.NAME, pass_context=True)(run_generation.run_generation)
    return app


def _pool(**arguments: Any) -> AsyncConnectionPool[Connection]:
    """The connector's pool. Procrastinate's own asks each session whether it stands before each statement."""
    return AsyncConnectionPool(**{**arguments, "check": _check})


async def _check(session: Session) -> None:
    """Raise ``OperationalError`` for a session that does not stand: the pool hands out another.

    Each check is followed by a statement, and one that gets no answer closes its session.
    """
    if not await is_sound(session, _PATIENCE_SECONDS):
        raise OperationalError("the session has ended")
    session.answered_at = time.monotonic()


async def _commit_each(connection: Connection) -> None:
    """A statement is its own transaction: a worker that is frozen between one and its commit would keep the queue's
    locks, and no other could put a periodic job there."""
    await connection.set_autocommit(True)


def make_upkeep_app(connector: BaseConnector) -> App:
    """The app of the jobs that the clock starts, on another app's connector.

    An app apart: every worker of an app starts its periodic jobs, and two that share a schedule confuse each other.
    """
    app = App(connector=connector)
    reconcile.add(app, queue=UPKEEP)  # a node of the release before puts it there
    archive.register(app, queue=UPKEEP)
    check_books.register(app, queue=UPKEEP)
    expire_events.register(app, queue=UPKEEP)
    sweep.register(app, queue=UPKEEP)
    return app


def make_reconcile_app(connector: BaseConnector) -> App:
    """The app of the one job that finds generations that lost their runner, likewise."""
    app = App(connector=connector)
    reconcile.register(app, queue=RECONCILE)
    return app
