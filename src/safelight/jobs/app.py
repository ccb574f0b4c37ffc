"""The Procrastinate app, and its two queues.

``local`` holds generations that a backend computes on the worker's own machine: a worker takes as many as it can
compute at once, so that other workers find the rest. ``remote`` holds those that a worker only waits for.
"""

from __future__ import annotations

from procrastinate import App, PsycopgConnector

from safelight.jobs import check_books, reconcile, run_generation, sweep

LOCAL, REMOTE, UPKEEP = "local", "remote", "upkeep"


def make_app(database_url: str) -> App:
    """An app with every job. Putting a job on the queue on the caller's connection needs no opening."""
    app = App(connector=PsycopgConnector(conninfo=database_url, min_size=1, max_size=4))
    app.task(name=run_generation.NAME, pass_context=True)(run_generation.run_generation)
    reconcile.register(app, queue=UPKEEP)
    check_books.register(app, queue=UPKEEP)
    sweep.register(app, queue=UPKEEP)
    return app
