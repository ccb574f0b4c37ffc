"""An installation for all tests of one worker, and a way to open others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.delivery import chromium
from tests.delivery.house import House, open_house
from tests.support.postgres import TestDatabases
from tests.support.server import open_folder


@pytest.fixture(scope="package")
def house(databases: TestDatabases) -> Iterator[House]:
    """A running installation on local disk."""
    with open_folder() as folder, open_house(folder, databases.create()) as opened:
        yield opened


@pytest.fixture(scope="package")
def still_house(databases: TestDatabases) -> Iterator[House]:
    """One without a worker: nothing is swept there but by command."""
    with open_folder() as folder, open_house(folder, databases.create(), command="serve") as opened:
        yield opened


@pytest.fixture(scope="module")
def build(databases: TestDatabases) -> Iterator[Callable[..., House]]:
    """Opens installations of their own: ``build({"SAFELIGHT_...": ...})``; closed at the end of the file."""
    with ExitStack() as stack:
        folder: Path = stack.enter_context(open_folder())

        def opened(env: dict[str, str] | None = None, **options: Any) -> House:
            return stack.enter_context(open_house(folder, databases.create(), env, **options))

        yield opened


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of a browser. While it is open its loop runs in this thread: no longer than one file's tests."""
    with chromium.open_page() as opened:
        yield opened


@pytest.fixture(scope="package")
def origin() -> Iterator[str]:
    """The address of somebody else's page."""
    with chromium.open_origin() as address:
        yield address
