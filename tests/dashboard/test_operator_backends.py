"""A system that does not go well, as its operator sees it: a backend that fails, a setting that is broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.accounts import embedded_database
from tests.dashboard.conftest import CATALOG, SETTINGS, House, Visitor
from tests.support.server import Server, eventually, open_folder, running

FAILING = """
[[connections]]
name = "shaky"
kind = "noop"

[[models]]
id = "shaky-clip"
name = "A video of a backend that fails for a while"
type = "video"
created_at = 2026-01-02T03:04:05Z
aspect_ratios = ["1:1"]
resolutions = ["480p"]
durations = [2]
rates = [{ unit_price = "0.10" }]
bindings = [{ connection = "shaky", options = { fails_with = "transient" } }]
sizes."480p" = { "1:1" = "64x64" }
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "catalog.toml"
    path.write_text(CATALOG.read_text() + FAILING)
    return path


@pytest.fixture(scope="module")
def shaky(catalog: Path) -> Iterator[House]:
    with open_folder() as folder:
        started = Server(folder / "data", env={**SETTINGS, "SAFELIGHT_CATALOG": str(catalog)})
        with running(started), embedded_database(started.wait_until_ready()) as url:
            yield House(started, url)


@pytest.fixture(scope="module")
def operator(shaky: House) -> Iterator[Visitor]:
    entered = Visitor(shaky.base_url, shaky.code())
    yield entered
    entered.close()


def test_a_connection_that_keeps_failing_is_left_alone(shaky: House, operator: Visitor) -> None:
    def page() -> str:
        return operator.get("/dashboard/operator/connections?connection=shaky").text

    assert "asked as usual" in page()
    with httpx.Client(base_url=shaky.base_url, headers=shaky.server.headers) as client:
        for _ in range(6):
            body = {"model": "shaky-clip", "prompt": "a boat"}
            assert client.post("/v2/videos/generations", json=body).status_code == 202
    eventually(lambda: "left alone: it keeps failing" in page(), "its process tells of the breaker")
    assert "failures in a row" in page() and "worker " in page() and "transient" in page()
    assert "asked as usual" in operator.get("/dashboard/operator/connections?connection=builtin").text


def test_a_setting_that_is_broken_is_told_with_the_remedy(operator: Visitor, catalog: Path) -> None:
    kept = catalog.read_text()
    catalog.write_text("[[models]\n")
    try:
        page = operator.post("/dashboard/operator/health").text
    finally:
        catalog.write_text(kept)
    assert "2 of 13 are wrong" in page and "Correct the file" in page  # the catalog, and the work that needs it
    assert "are good" in operator.post("/dashboard/operator/health").text
