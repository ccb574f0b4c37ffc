"""The Procrastinate apps, and their three queues.

``local`` holds generations that a backend computes on the worker's own machine: a worker takes as many as it can
compute at once, so that other workers find the rest. ``remote`` holds those that a worker only waits for. ``upkeep``
holds what is done by the clock; it has a worker of its own, so that no number of generations holds it up.
"""

from __future__ import annotations

from procrastinate import App, BaseConnector, PsycopgConnector

from safelight.db.pool import SESSION_OPTIONS, Connection
from safelight.jobs import check_books, expire_events, reconcile, run_generation, sweep

LOCAL, REMOTE, UPKEEP = "local", "remote", "upkeep"


def make_app(database_url: str) -> App:
    """The app that runs generations. Putting a job on its queue on the caller's connection needs no opening."""
    connector = PsycopgConnector(
        conninfo=database_url, min_size=1, max_size=4, kwargs={"options": SESSION_OPTIONS}, configure=_commit_each
    )
    app = App(connector=connector)
    app.task(name=run_generation.NAME, pass_context=True)(run_generation.run_generation)
    return app


async def _commit_each(connection: Connection) -> None:
    """A statement is its own transaction: a worker that is frozen between one and its commit would keep the queue's
    locks, and no other could put a periodic job there."""
    await connection.set_autocommit(True)


def make_upkeep_app(connector: BaseConnector) -> App:
    """The app of the jobs that the clock starts, on another app's connector.

    An app apart: every worker of an app starts its periodic jobs, and two that share a schedule confuse each other.
    """
    app = App(connector=connector)
    reconcile.register(app, queue=UPKEEP)
    check_books.register(app, queue=UPKEEP)
    expire_events.register(app, queue=UPKEEP)
    sweep.register(app, queue=UPKEEP)
    return app
