"""Deployments for tests of durability."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from safelight.db.embedded import EmbeddedPostgres
from safelight.db.migrate import migrate
from tests.durability.deployment import Deployment, Model, Nursery
from tests.support.postgres import TestDatabases
from tests.support.server import open_folder

Deploy = Callable[..., Deployment]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    started = Nursery()
    yield started
    started.close()


@pytest.fixture(scope="module")
def database() -> Iterator[EmbeddedPostgres]:
    """A server of a file's own, to be stopped, frozen and started again."""
    with open_folder() as folder:
        server = EmbeddedPostgres(folder / "server")
        with server as url:
            migrate(url)
            yield server


@pytest.fixture
def deploy(nursery: Nursery, databases: TestDatabases) -> Iterator[Deploy]:
    """Makes deployments: ``deploy(*models, env=None, url=None)``. Their processes are killed at the test's end."""
    with _deployments(nursery, databases) as make:
        yield make


@pytest.fixture(scope="module")
def deploy_for_all(nursery: Nursery, databases: TestDatabases) -> Iterator[Deploy]:
    """The same for a module's tests together."""
    with _deployments(nursery, databases) as make:
        yield make


@contextmanager
def _deployments(nursery: Nursery, databases: TestDatabases) -> Iterator[Deploy]:
    made: list[Deployment] = []
    with open_folder() as folder:

        def make(*models: Model, env: dict[str, str] | None = None, url: str | None = None) -> Deployment:
            place = folder / f"{len(made)}"
            place.mkdir()
            made.append(Deployment(nursery, place, url or databases.create(), models, env))
            return made[-1]

        try:
            yield make
        finally:
            for each in made:
                each.close()
