"""Fixtures for every test: databases on a real PostgreSQL, a real S3 server, and real server processes."""

from __future__ import annotations

import functools
import shutil
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx._transports import default as httpx_transports

from tests.blobs import seaweed
from tests.support import postgres
from tests.support.server import Server, open_folder, running

_ROOT = Path(__file__).parents[1]

# How long an example takes says more of the machine than of what is tested.
if find_spec("hypothesis") is not None:  # the environment of `make real-ray` has none
    from hypothesis import settings

    settings.register_profile("without deadlines", deadline=None)
    settings.load_profile("without deadlines")


# What a shell starts in the background ignores Ctrl-C, and so would every process that is sent one here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A client reads all certificate authorities there are, for 25 ms, and tests make thousands: one reading does for all.
setattr(httpx_transports, "create_ssl_context", functools.cache(httpx.create_ssl_context))  # noqa: B010


_WITH_SERVERS = tuple(
    f"tests/{name}/"
    for name in ("cli/client", "clients", "contract", "dashboard", "delivery", "mcp", "money", "openai_dialect")
)
_WAITING = tuple(
    f"tests/{name}/" for name in ("durability", "conformance", "lifecycle", "deploy", "package", "telemetry")
)
_WAITING_ENDS_AT = 0.8


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers take files in this order (``--no-loadscope-reorder``).

    First the folders whose tests share servers, one folder after another: a worker is through with it once and for all,
    and its servers, which take memory and some time of a processor, end with it. Then files that mostly wait beside
    those that compute. The former come in the first part: none of the long ones is left to one worker at the end.
    """
    files = dict.fromkeys(item.path for item in items)
    names = {path: path.relative_to(_ROOT).as_posix() for path in files}
    apart = [path for path in files if names[path].startswith(_WITH_SERVERS)]
    waiting = [path for path in files if names[path].startswith(_WAITING)]
    others = [path for path in files if not names[path].startswith(_WITH_SERVERS + _WAITING)]
    places: dict[Path, float] = {path: number - len(apart) for number, path in enumerate(apart)}
    places |= {path: _WAITING_ENDS_AT * number / len(waiting) for number, path in enumerate(waiting)}
    places |= {path: number / len(others) for number, path in enumerate(others)}
    items.sort(key=lambda item: places[item.path])


@pytest.fixture(scope="session")
def databases() -> Iterator[postgres.TestDatabases]:
    """Makes migrated, empty databases: ``databases.create()``."""
    with postgres.databases() as made:
        yield made


@pytest.fixture(scope="session")
def database_url(databases: postgres.TestDatabases) -> str:
    """One migrated database for all tests of this worker, with no server on it.

    It fills as they go; take a new workspace each.
    """
    return databases.create()


@pytest.fixture
def fresh_database_url(databases: postgres.TestDatabases) -> Iterator[str]:
    """A migrated, empty database for one test."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweed.Server]:
    """SeaweedFS, started once in each test process that asks for it."""
    folder = tmp_path_factory.mktemp("seaweed")
    with seaweed.serve(folder) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """``safelight up``, ready, for all tests of this worker. Take a new workspace for what must be alone."""
    with open_folder() as folder:
        started = Server(folder / "data")
        with running(started):
            yield started.wait_until_ready()


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """An empty folder for data folders."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def fresh_server(server_folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers for one test: ``fresh_server(*arguments, command="up", data_dir=None, port=None, env=None)``.

    It does not wait for them: call ``wait_until_ready``. All are killed at the end of the test.
    """
    started: list[Server] = []

    def start(*arguments: str, data_dir: Path | None = None, **options: Any) -> Server:
        started.append(Server(data_dir or server_folder / "data", *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        each.kill_everything()
