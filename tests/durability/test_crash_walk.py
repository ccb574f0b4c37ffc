"""Killed at every kill point, then started again: one end, one capture or release, no file too many, one paid job.

Each story is one video whose runners die one after the other, each a little further on. The leases of the dead are long
here and run out when the story says so; what is left is finished by one healthy worker.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest

from safelight.node.killpoints import KILLPOINTS
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process
from tests.durability.test_crash_walk_images import WALKED as WALKED_BY_IMAGES
from tests.support.server import eventually

MODELS = (
    Model("sync", "video", ("chaos", {})),
    Model("job", "video", ("chaos", {"behaviour": "job"})),
    Model("lost", "video", ("chaos", {"behaviour": "lost_answer"})),
    Model("cancelable", "video", ("chaos", {"behaviour": "job", "job_seconds": 60, "cancels": True})),
    # Its jobs are not polled while they are canceled: the backend's word would come before the runner dies.
    Model("unpolled", "video", ("chaos", {"behaviour": "job", "job_seconds": 60, "poll_seconds": 60, "cancels": True})),
    Model("slow", "video", ("chaos", {"behaviour": "job", "job_seconds": 3})),
    Model("fails-once", "video", ("chaos", {"behaviour": "fails_later", "times": 1})),
)
STORIES = (
    ("sync", "run-before-claim", "run-after-claim", "run-after-intent", "run-after-withdraw", "run-after-submit"),
    ("job", "run-after-submit", "run-after-find", "run-after-handle", "run-after-poll"),
    ("sync", "deliver-after-measure", "deliver-after-store", "settle-before-commit", "settle-after-commit"),
    ("lost", "unknown-after-commit"),
    # A job was taken, failed, and is replaced by another.
    ("fails-once", "run-after-poll", "run-after-withdraw", "run-after-intent"),
    ("fails-once", "run-after-handle", "run-after-withdraw", "run-after-submit", "run-after-find"),
)
JOBS = {"fails-once": 2}
ELSEWHERE = {
    "chaos-before-record",
    "chaos-after-record",
    "leave-after-commit",
    "requeue-before-commit",
    "requeue-after-commit",
    "hand-back-before-commit",
    "hand-back-after-commit",
    "cancel-after-request",
    "cancel-after-backend",
    "submit-before-commit",
    "submit-after-commit",
}


@pytest.fixture(scope="module")
def site(deploy_for_all: Deploy) -> Deployment:
    return deploy_for_all(*MODELS, env={"SAFELIGHT_LEASE": "270s"})


@pytest.fixture(scope="module")
def api(site: Deployment) -> Process:
    return site.serve()


@pytest.fixture(scope="module")
def walked(site: Deployment, api: Process) -> Iterator[dict[tuple[str, ...], str]]:
    """Every story told up to its last death, then a healthy worker: story -> id."""
    ids = {}
    for story in STORIES:
        model, *points = story
        ids[story] = site.video(api, model)
        for point in points:
            site.let_lease_run_out(ids[story])
            _die(site, point)
    for generation_id in ids.values():
        site.let_lease_run_out(generation_id)
    healthy = site.worker(LEASE="2s")
    yield ids
    healthy.kill()


def _die(site: Deployment, point: str) -> None:
    # Looks at what is unknown come the sooner the shorter a lease is.
    lease = {"LEASE": "2s"} if point == "unknown-after-commit" else {}
    site.worker(KILLPOINT=point, **lease).wait()
    site.hide_the_dead()


@pytest.mark.parametrize("story", STORIES, ids="-".join)
def test_a_video_survives_every_death(
    site: Deployment, api: Process, walked: dict[tuple[str, ...], str], story: tuple[str, ...]
) -> None:
    generation_id = walked[story]
    assert site.ended(api, generation_id)["status"] == "completed"
    site.check_one_end(generation_id)
    assert site.memory.taken(generation_id) == JOBS.get(story[0], 1)


def test_every_kill_point_is_walked() -> None:
    walked = {point for _, *points in STORIES for point in points} | ELSEWHERE | set(WALKED_BY_IMAGES)
    others = ("expire-", "erase-", "restore-", "archive-")
    assert walked == {point for point in KILLPOINTS if not point.startswith(others)}


def test_an_api_process_dies_around_the_commit(site: Deployment, walked: object) -> None:
    before, after = site.serve(KILLPOINT="submit-before-commit"), site.serve(KILLPOINT="submit-after-commit")
    count = len(site.sql("select id from generations"))
    for api in (before, after):
        with pytest.raises(httpx.HTTPError):
            site.video(api, "sync")
        api.kill()
    (made,) = site.sql("select id from generations order by created_at desc offset 0 limit 1")
    assert len(site.sql("select id from generations")) == count + 1, "only the one that was committed"
    site.wait_for_state(made["id"], "completed")
    site.check_one_end(made["id"])


def test_the_api_dies_after_a_wish_to_cancel(site: Deployment, api: Process, walked: object) -> None:
    generation_id = site.video(api, "cancelable")
    eventually(lambda: site.row(generation_id)["handle"] is not None, "the backend has it")
    dying = site.serve(KILLPOINT="cancel-after-request")
    with pytest.raises(httpx.HTTPError):
        site.request(dying, "DELETE", f"/v2/videos/generations/{generation_id}")
    dying.kill()
    site.wait_for_state(generation_id, "canceled")
    site.check_one_end(generation_id, "canceled")


def test_a_worker_dies_after_the_backend_stopped(deploy: Deploy) -> None:
    site = deploy(*MODELS)
    api = site.serve()
    generation_id = site.video(api, "unpolled")
    dying = site.worker(KILLPOINT="cancel-after-backend")
    eventually(lambda: site.row(generation_id)["handle"] is not None, "the backend has it")
    answer = site.request(api, "DELETE", f"/v2/videos/generations/{generation_id}")
    assert (answer.status_code, answer.json()["cancellation"]) == (202, "requested")
    dying.wait()
    site.worker()
    site.wait_for_state(generation_id, "canceled")
    site.check_one_end(generation_id, "canceled")
    site.check_nothing_held()


@pytest.mark.parametrize("point", ["requeue-before-commit", "requeue-after-commit"])
def test_the_reconciler_dies(deploy: Deploy, point: str) -> None:
    site = deploy(*MODELS)
    api = site.serve()
    generation_id = site.video(api, "job")
    site.worker(KILLPOINT="run-after-handle").wait()
    site.let_lease_run_out(generation_id)
    _die(site, point)
    site.worker()
    assert site.ended(api, generation_id)["status"] == "completed"
    site.check_one_end(generation_id)
    assert site.memory.taken(generation_id) == 1


@pytest.mark.parametrize("point", ["hand-back-before-commit", "hand-back-after-commit"])
def test_a_worker_dies_as_it_hands_back(deploy: Deploy, point: str) -> None:
    site = deploy(*MODELS, env={"SAFELIGHT_SHUTDOWN": "1s"})
    api = site.serve()
    generation_id = site.video(api, "slow")
    dying = site.worker(KILLPOINT=point)
    eventually(lambda: site.row(generation_id)["handle"] is not None, "the backend has it")
    dying.signal(signal.SIGTERM)
    dying.wait()
    assert "handed back" in dying.log or point.startswith("hand-back-before")
    site.worker()
    assert site.ended(api, generation_id)["status"] == "completed"
    site.check_one_end(generation_id)
    assert site.memory.taken(generation_id) == 1


def test_nothing_is_left_over(site: Deployment, walked: object) -> None:
    site.check_nothing_held()
