"""Processes that hang, are told to go, or share a generation: who may write, who takes over, and who hears of it."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from safelight.lifecycle.dispatch import MAX_ATTEMPTS
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process
from tests.support.server import PATIENCE_SECONDS, eventually

MODELS = (
    Model("job", "video", ("chaos", {"behaviour": "job"})),
    Model("slow", "video", ("chaos", {"behaviour": "job", "job_seconds": 5})),
    Model("slower", "video", ("chaos", {"behaviour": "job", "job_seconds": 8})),
    Model("endless", "video", ("chaos", {"behaviour": "job", "job_seconds": 600})),
    Model("cancelable", "video", ("chaos", {"behaviour": "job", "job_seconds": 600, "cancels": True})),
    Model("lost", "video", ("chaos-blind", {"behaviour": "lost_answer"})),
    Model("poison", "video", ("chaos", {"behaviour": "poison"})),
    Model("slow-image", "image", ("chaos", {"behaviour": "job", "job_seconds": 5})),
    Model("image", "image", ("chaos", {})),
)


@contextmanager
def watched(site: Deployment, api: Process, generation_id: str) -> Iterator[list[dict[str, object]]]:
    """What the list and the GET answer meanwhile, over and over."""
    seen: list[dict[str, object]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            listed = site.request(api, "GET", "/v2/generations?limit=100").json()["data"]
            seen.extend(item for item in listed if item["id"] == generation_id)
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def handed_over(site: Deployment, generation_id: str) -> None:
    eventually(lambda: site.row(generation_id)["handle"] is not None, "the backend has the job")


def test_a_runner_that_was_stopped_past_its_lease_changes_nothing(deploy: Deploy) -> None:
    site = deploy(*MODELS)
    api, zombie = site.serve(), site.worker()
    generation_id = site.video(api, "slow")
    handed_over(site, generation_id)
    with watched(site, api, generation_id) as seen:
        zombie.signal(signal.SIGSTOP)
        site.worker()
        assert site.ended(api, generation_id)["status"] == "completed"
    ended = site.row(generation_id)
    zombie.signal(signal.SIGCONT)
    eventually(lambda: "lease" in zombie.log, "the zombie notices")
    time.sleep(1)
    assert site.row(generation_id) == ended
    site.check_one_end(generation_id)
    assert site.memory.taken(generation_id) == 1
    ranks = {"pending": 0, "completed": 1}
    statuses = [ranks[str(item["status"])] for item in seen]
    assert statuses == sorted(statuses), "a GET never goes back"
    site.check_nothing_held()


@pytest.mark.parametrize(("model", "killpoint"), [("poison", ""), ("job", "deliver-after-measure")])
def test_what_kills_its_runner_fails_after_some_attempts(deploy: Deploy, model: str, killpoint: str) -> None:
    site = deploy(*MODELS, env={"SAFELIGHT_LEASE": "270s"})
    api = site.serve()
    generation_id = site.video(api, model)
    deaths = 0
    while site.state(generation_id) != "failed":
        worker = site.worker(KILLPOINT=killpoint)
        eventually(lambda w=worker: not w.is_alive or site.state(generation_id) == "failed", "it dies, or gives up")
        deaths += not worker.is_alive
        site.let_lease_run_out(generation_id)
    assert deaths == MAX_ATTEMPTS
    site.check_one_end(generation_id, "failed")
    site.check_nothing_held()


def test_what_a_worker_hands_back_another_takes_over(deploy: Deploy) -> None:
    site = deploy(*MODELS, env={"SAFELIGHT_LEASE": "270s", "SAFELIGHT_SHUTDOWN": "2s"})
    api, first = site.serve(), site.worker()
    ids = [site.video(api, "slow") for _ in range(5)]
    for generation_id in ids:
        handed_over(site, generation_id)
    second = site.worker()
    first.stop()
    assert first.log.count("handed back") == len(ids)
    for generation_id in ids:
        assert site.ended(api, generation_id)["status"] == "completed"
        site.check_one_end(generation_id)
        assert site.memory.taken(generation_id) == 1
        assert site.row(generation_id)["attempts"] == 1, "handing back is no lost attempt"
    second.stop()
    assert "Traceback" not in site.logs
    site.check_nothing_held()


def test_a_stop_waits_for_what_ends_in_time(deploy: Deploy) -> None:
    site = deploy(*MODELS, env={"SAFELIGHT_SHUTDOWN": "60s"})
    api, worker = site.serve(), site.worker()
    generation_id = site.video(api, "slow")
    handed_over(site, generation_id)
    worker.stop()
    assert site.state(generation_id) == "completed"
    assert "handed back" not in worker.log


def test_an_api_process_that_stops_hands_its_images_to_a_worker(deploy: Deploy) -> None:
    site = deploy(*MODELS, env={"SAFELIGHT_LEASE": "270s", "SAFELIGHT_SHUTDOWN": "3s"})
    api = site.serve()
    site.worker()
    body = {"model": "slow-image", "prompt": "a slope"}
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(
            site.request, api, "POST", "/v2/images/generations", body, **{"idempotency-key": "again"}
        )
        eventually(lambda: bool(site.sql("select id from generations where handle is not null")), "it is under way")
        api.stop()
        with pytest.raises(httpx.HTTPError):
            answer = asked.result()
            raise httpx.HTTPError(str(answer.status_code)) if answer.status_code >= 500 else AssertionError(answer.text)
    (row,) = site.sql("select id from generations")
    again = site.request(site.serve(), "POST", "/v2/images/generations", body, **{"idempotency-key": "again"})
    assert (again.status_code, again.json()["id"]) == (200, row["id"])
    assert site.memory.taken(row["id"]) == 1
    site.check_nothing_held()


def test_the_place_of_a_killed_runner_comes_back(deploy: Deploy) -> None:
    site = deploy(*MODELS)
    site.sql("update workspaces set concurrency = 1")
    dying, api = site.serve(KILLPOINT="run-after-handle"), site.serve()
    with pytest.raises(httpx.HTTPError):
        site.image(dying, "slow-image")
    dying.kill()
    assert site.image(api, "image").status_code == 429
    site.worker()
    eventually(lambda: site.image(api, "image").status_code == 200, "the place is free again")
    site.check_nothing_held()


def test_cancel_in_every_state(deploy: Deploy) -> None:
    site = deploy(*MODELS, env={"SAFELIGHT_VIDEO_DEADLINE": "20s"})
    api = site.serve()

    def cancel(generation_id: str) -> tuple[int, str]:
        answer = site.request(api, "DELETE", f"/v2/videos/generations/{generation_id}")
        return answer.status_code, answer.json()["cancellation"]

    queued = site.video(api, "job")
    assert cancel(queued) == (200, "canceled")
    assert cancel(queued) == (200, "canceled"), "again"
    assert site.memory.calls(queued) == 0
    ids = {name: site.video(api, name) for name in ("cancelable", "endless", "lost", "job")}
    site.worker()
    for name in ("cancelable", "endless"):
        handed_over(site, ids[name])
    site.wait_for_state(ids["lost"], "unknown")
    site.wait_for_state(ids["job"], "completed")
    assert cancel(ids["cancelable"])[1] in ("canceled", "requested")
    site.wait_for_state(ids["cancelable"], "canceled")
    assert cancel(ids["endless"]) == (202, "requested")
    assert cancel(ids["lost"]) == (202, "requested")
    assert cancel(ids["job"]) == (200, "too_late")
    for name, state in (("endless", "failed"), ("lost", "failed"), ("cancelable", "canceled"), ("job", "completed")):
        site.wait_for_state(ids[name], state)
        site.check_one_end(ids[name], state)
    site.check_one_end(queued, "canceled")
    site.check_nothing_held()


def test_waiting_and_events_hear_of_another_process(deploy: Deploy) -> None:
    site = deploy(*MODELS)
    api, other = site.serve(), site.serve()
    generation_id = site.video(api, "slower")  # how far it is is recorded once a second, and told three times at least

    def wait() -> str:
        path = f"/v2/videos/generations/{generation_id}?wait=60"
        return str(site.request(other, "GET", path).json()["status"])

    def events() -> list[tuple[str, dict[str, object]]]:
        url = f"http://127.0.0.1:{other.port}/v2/generations/{generation_id}/events"
        found, name = [], ""
        with httpx.stream("GET", url, headers=site.headers, timeout=PATIENCE_SECONDS) as answer:
            for line in answer.iter_lines():
                if line.startswith("event:"):
                    name = line.partition(":")[2].strip()
                if line.startswith("data:"):
                    found.append((name, json.loads(line.partition(":")[2])))
        return found

    with ThreadPoolExecutor(2) as threads:
        waiting, listening = threads.submit(wait), threads.submit(events)
        site.worker(KILLPOINT="run-after-poll").wait()
        site.worker()
        assert waiting.result() == "completed"
        names = [name for name, _ in listening.result()]
        progress = [data["progress"] for name, data in listening.result() if name == "progress"]
    assert names[-1] == "completed" and set(names[:-1]) == {"progress"}
    assert len(progress) > 2
    assert progress == sorted(progress), "a new runner starts over, what was told does not"  # type: ignore[type-var]


def test_pages_are_stable_while_more_comes(deploy: Deploy) -> None:
    site = deploy(*MODELS)
    api = site.serve()
    before = [site.video(api, "job") for _ in range(7)]
    found: list[str] = []
    path, has_more = "/v2/generations?limit=3", True
    while has_more:
        page = site.request(api, "GET", path).json()
        found += [item["id"] for item in page["data"]]
        has_more = page["has_more"]
        path = f"/v2/generations?limit=3&after={found[-1]}"
        site.video(api, "job")
    assert found == sorted(before, reverse=True)
