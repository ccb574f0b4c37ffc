"""A node whose metrics are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.postgres import TestDatabases
from tests.support.server import Server, free_port, open_folder, running
from tests.telemetry.scraping import Scraper

CATALOG = Path(__file__).parents[1] / "contract/noop_catalog.toml"
TOKEN = "s3cret-of-prometheus"


class Node(msgspec.Struct, frozen=True):
    server: Server
    scraper: Scraper
    database_url: str


@pytest.fixture(scope="package")
def node(databases: TestDatabases) -> Iterator[Node]:
    """``safelight up`` with its listener."""
    url, port = databases.create(), free_port()
    settings = {
        "SAFELIGHT_DATABASE_URL": url,
        "SAFELIGHT_CATALOG": str(CATALOG),
        "SAFELIGHT_SHUTDOWN": "2s",
        "SAFELIGHT_METRICS": f"127.0.0.1:{port}",
        "SAFELIGHT_METRICS_TOKEN": TOKEN,
        "SAFELIGHT_ADDRESS_REFUSALS": "100000",
    }
    with open_folder() as folder:
        started = Server(folder / "data", env=settings)
        with running(started):
            yield Node(started.wait_until_ready(), Scraper(port, TOKEN), url)
