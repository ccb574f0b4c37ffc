"""PostgreSQL restarted again and again under load, in order and by force: no job lost, none doubled."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from safelight.db.embedded import EmbeddedPostgres
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process
from tests.support.server import PATIENCE_SECONDS, eventually

RESTARTS = (signal.SIGINT, signal.SIGQUIT, signal.SIGINT, signal.SIGQUIT)
SECONDS_BETWEEN = 5
CLIENTS = 3
MODELS = (
    Model("video", "video", ("chaos", {"behaviour": "job", "job_seconds": 1})),
    Model("image", "image", ("chaos", {})),
)


def restart(database: EmbeddedPostgres, number: int) -> None:
    pid = database.pid
    assert pid
    os.kill(pid, number)
    eventually(database.revive, "the server is up again")


def ask_until_answered(site: Deployment, api: Process, key: str, stop: threading.Event) -> str | None:
    """Submit as a careful client does, with one idempotency key until there is an answer; the id."""
    type_ = "video" if key.endswith("v") else "image"
    path = f"/v2/{type_}s/generations"
    body = {"model": type_, "prompt": "a slope", **({"duration": 2} if type_ == "video" else {})}
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        try:
            answer = site.request(api, "POST", path, body, **{"idempotency-key": key})
        except httpx.HTTPError:
            answer = None
        if answer is not None and answer.status_code in (200, 202):
            return str(answer.json()["id"])
        assert answer is None or answer.status_code >= 500, answer.text
        time.sleep(0.3)
    return None


def test_no_job_is_lost_or_doubled(deploy: Deploy, database: EmbeddedPostgres) -> None:
    site = deploy(*MODELS, url=database.url, env={"SAFELIGHT_LEASE": "10s"})
    api = site.serve()
    site.worker()
    stop = threading.Event()

    def client(number: int) -> list[tuple[str, str | None]]:
        made: list[tuple[str, str | None]] = []
        while not stop.is_set():
            key = f"{number}-{len(made)}-{'v' if len(made) % 2 else 'i'}"
            made.append((key, ask_until_answered(site, api, key, stop)))
            time.sleep(0.2)
        return made

    with ThreadPoolExecutor(CLIENTS) as threads:
        clients = [threads.submit(client, number) for number in range(CLIENTS)]
        try:
            for number in RESTARTS:
                time.sleep(SECONDS_BETWEEN)
                restart(database, number)
            time.sleep(SECONDS_BETWEEN)
        finally:
            stop.set()
        made = [item for each in clients for item in each.result()]
    unanswered = [key for key, generation_id in made if generation_id is None]
    assert not unanswered, site.logs
    assert len(made) > 20
    assert len({generation_id for _, generation_id in made}) == len(made)
    for _, generation_id in made:
        assert generation_id
        site.wait_for_state(generation_id, "completed")
        site.check_one_end(generation_id)
        assert site.memory.taken(generation_id) == 1
    assert len(site.sql("select id from generations")) == len(made)
    site.check_nothing_held()
