"""``serve`` and ``worker`` alone: one listener for a data folder, whoever has it; a clear word where there is none."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from safelight.cli import cluster_gauges
from safelight.cli.cluster_gauges import QUEUES, ClusterGauges
from safelight.db.pool import Database
from safelight.jobs import queues
from tests.support.server import Server, eventually, free_port, safelight
from tests.telemetry.conftest import CATALOG
from tests.telemetry.scraping import Scraper, fallen, total

LAG = "safelight_event_loop_lag_seconds_count"


def test_one_tells_of_both_and_the_other_takes_over(
    fresh_server: Callable[..., Server], fresh_database_url: str
) -> None:
    port = free_port()
    settings = {
        "SAFELIGHT_DATABASE_URL": fresh_database_url,
        "SAFELIGHT_CATALOG": str(CATALOG),
        "SAFELIGHT_METRICS": f"127.0.0.1:{port}",
    }
    scraper = Scraper(port)
    worker = fresh_server(command="worker", env=settings)
    eventually(lambda: _answers(scraper), "the worker's listener")
    api = fresh_server(command="serve", env=settings).wait_until_ready()
    eventually(lambda: "tells the metrics of this one too" in api.log, "the word of the second")
    before = scraper.until(lambda found: all(total(found, LAG, process=each) for each in ("api", "worker")))
    assert total(scraper.series("/cluster"), "safelight_workers") == 1

    worker.process.kill()
    eventually(lambda: not worker.processes(), "its listener ends with it")
    eventually(lambda: _answers(scraper), "the other's listener")
    after = scraper.series()
    assert fallen(before, after) == []
    counted = total(after, LAG, process="api")
    scraper.until(lambda found: total(found, LAG, process="api") > counted)
    assert api.stop(signal.SIGTERM) == 0
    assert "Traceback" not in api.log + worker.log


def _answers(scraper: Scraper) -> bool:
    try:
        return bool(scraper.series())
    except httpx.HTTPError:
        return False


def test_an_address_that_somebody_else_has_is_told_at_the_start(server_folder: Path, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = {"SAFELIGHT_METRICS": place, "SAFELIGHT_DATABASE_URL": database_url}
        done = safelight("worker", "--data-dir", server_folder / "data", env=settings)
    assert done.returncode == 1
    assert done.stderr == (
        f"safelight: SAFELIGHT_METRICS: something listens on {place} already, and it is none of this data folder's. "
        "Stop it, or choose another port.\n"
    )


async def test_while_the_database_is_away_that_alone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_gauges, "_PATIENCE_SECONDS", 0.5)
    database = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none", pool_size=1, answers_soon=True)
    await database.open()
    try:
        assert await ClusterGauges(database).values() == {("safelight_database_up", ()): 0}
    finally:
        await database.close()


def test_every_queue_is_looked_at() -> None:
    assert set(QUEUES) == {queues.LOCAL, queues.REMOTE, queues.UPKEEP, queues.RECONCILE}
