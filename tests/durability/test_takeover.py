"""Who is taken for dead, and how soon: a killed process by its locks, a slow one by nothing but its lease."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from safelight.db.embedded import EmbeddedPostgres
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, standing_still
from tests.support.server import eventually

MODELS = (
    Model("video", "video", ("chaos", {"behaviour": "job", "job_seconds": 3})),
    Model("long", "video", ("chaos", {"behaviour": "job", "job_seconds": 8})),
    Model("longest", "video", ("chaos", {"behaviour": "job", "job_seconds": 16})),
    Model("image", "image", ("chaos", {"behaviour": "job", "job_seconds": 3})),
)
IMAGE = {"model": "image", "prompt": "a slope"}


def under_way(site: Deployment, generation_id: str) -> None:
    eventually(lambda: site.row(generation_id)["handle"] is not None, "the backend has it")


def only_one(site: Deployment) -> str:
    eventually(lambda: bool(site.sql("select id from generations where handle is not null")), "it is under way")
    return str(site.sql("select id from generations")[0]["id"])


def check_taken_over(site: Deployment, generation_id: str, lease_until: object) -> None:
    """By a second runner, before the first one's lease had run out; made once, charged once."""
    row = site.row(generation_id)
    assert row["attempts"] == 2, row
    if lease_until is not None:  # else it was taken from the dead before anybody looked
        (began,) = site.sql("select %s::timestamptz > %s::timestamptz as early", lease_until, row["finished_at"])
        assert began["early"], "it waited for the lease"
    site.check_one_end(generation_id)
    assert site.memory.taken(generation_id) == 1


def test_another_node_finishes_the_image_and_the_clients_own_repeat_gets_it(deploy: Deploy) -> None:
    """Nothing on the other machine tells of the death but its session; half of this lease is 12 s."""
    site = deploy(*MODELS, env={"SAFELIGHT_LEASE": "24s"})
    doomed, other = site.serve(), site.serve()
    site.worker()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(site.request, doomed, "POST", "/v2/images/generations", IMAGE)
        generation_id = only_one(site)
        doomed.kill()
        site.hide_the_dead()
        with pytest.raises(httpx.HTTPError):
            asked.result()
    lease_until = site.row(generation_id)["lease_until"]
    again = site.request(other, "POST", "/v2/images/generations", IMAGE, **{"x-stainless-retry-count": "1"})
    assert (again.status_code, again.json()["id"]) == (200, generation_id)
    check_taken_over(site, generation_id, lease_until)
    site.check_nothing_held()


def test_a_node_that_is_started_again_hands_on_at_once_what_its_former_process_held(deploy: Deploy) -> None:
    site = deploy(*MODELS, env={"SAFELIGHT_LEASE": "200s"})
    api, doomed = site.serve(), site.worker()
    generation_id = site.video(api, "video")
    under_way(site, generation_id)
    doomed.kill()
    lease_until = site.row(generation_id)["lease_until"]
    site.worker()
    assert site.ended(api, generation_id)["status"] == "completed"
    check_taken_over(site, generation_id, lease_until)
    site.check_nothing_held()


def test_a_process_that_stands_still_keeps_its_lease(deploy: Deploy) -> None:
    """Its locks stand. It is silent for longer than half a lease, and for less than a whole one."""
    site = deploy(*MODELS, env={"SAFELIGHT_LEASE": "10s"})
    api, slow = site.serve(), site.worker()
    generation_id = site.video(api, "long")
    under_way(site, generation_id)
    site.worker()
    slow.signal(signal.SIGSTOP)
    time.sleep(6)
    slow.signal(signal.SIGCONT)
    assert site.ended(api, generation_id)["status"] == "completed"
    assert site.row(generation_id)["attempts"] == 1
    site.check_one_end(generation_id)


def test_a_database_that_is_away_costs_nobody_the_work(deploy: Deploy, database: EmbeddedPostgres) -> None:
    """For five seconds, under the lease that is the default: stopped, and standing still."""
    site = deploy(*MODELS, url=database.url, env={"SAFELIGHT_LEASE": "10s"})
    api = site.serve()
    workers = [site.worker(), site.worker()]
    ids = [site.video(api, "longest") for _ in range(4)]
    for generation_id in ids:
        under_way(site, generation_id)
    # One that was fetched from the queue and not yet claimed may be queued twice: that costs nothing.
    before = [len(worker.log) for worker in workers]
    pid = database.pid
    assert pid
    os.kill(pid, signal.SIGINT)
    time.sleep(5)
    eventually(database.revive, "the server is up again")
    time.sleep(3)  # the next outage finds leases that were renewed after this one
    with standing_still(database):
        time.sleep(5)
    for generation_id in ids:
        assert site.ended(api, generation_id)["status"] == "completed"
        assert site.row(generation_id)["attempts"] == 1, "nobody took it over"
        site.check_one_end(generation_id)
    logs = [worker.log[length:] for worker, length in zip(workers, before, strict=True)]
    assert not any("queued again" in log for log in logs), logs
