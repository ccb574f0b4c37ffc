"""A stop while clients only look on: streams end as a whole, polls are answered, and nobody has to be killed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, eventually, open_folder

_CATALOG = Path(__file__).with_name("noop_catalog.toml")
_SLOW = {"model": "slow-video", "prompt": "A mountain"}


@pytest.fixture
def server() -> Iterator[Server]:
    with open_folder() as folder:
        started = Server(folder / "data", env={"SAFELIGHT_CATALOG": str(_CATALOG), "SAFELIGHT_SHUTDOWN": "4s"})
        try:
            yield started.wait_until_ready()
        finally:
            started.kill_everything()


def test_who_only_looks_on_holds_up_no_stop(server: Server) -> None:
    ends: dict[str, str] = {}
    begun = threading.Semaphore(0)
    with httpx.Client(base_url=server.base_url, headers=server.headers, timeout=60) as http:
        made = http.post("/v2/videos/generations", json=_SLOW).json()["id"]

        def note(path: str, read: Callable[[], str]) -> None:
            try:
                ends[path] = read()
            except httpx.HTTPError as error:
                ends[path] = repr(error)

        def follow(path: str) -> str:
            with http.stream("GET", path) as answer:
                lines = answer.iter_lines()
                next(lines)
                begun.release()
                for _ in lines:
                    pass
            return "whole"

        def poll(path: str) -> str:
            begun.release()
            return str(http.get(path).json()["status"])

        streams = dict.fromkeys(("/v2/events", f"/v2/generations/{made}/events"), follow)
        waits = streams | {f"/v2/videos/generations/{made}?wait=50": poll}
        threads = [
            threading.Thread(target=note, args=(path, lambda path=path, read=read: read(path)))
            for path, read in waits.items()
        ]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert begun.acquire(timeout=60)
        eventually(lambda: http.get("/readyz").status_code == 200, "it serves")
        assert server.stop() == 0
        for thread in threads:
            thread.join(60)
    assert ends == dict.fromkeys(streams, "whole") | {f"/v2/videos/generations/{made}?wait=50": "pending"}
    assert "refused to gracefully stop" not in server.log
