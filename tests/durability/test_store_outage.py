"""The object store is away while things are made: they are kept, not failed and not made again (RELIABILITY 60)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.blobs import seaweed
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model
from tests.support.server import eventually

MODELS = (
    Model("clip", "video", ("chaos", {"behaviour": "job", "job_seconds": 0.2})),
    Model("still", "image", ("chaos", {"behaviour": "ok"})),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[seaweed.Service]:
    with seaweed.serve_on_and_off(tmp_path) as service:
        yield service


def waiting_files(site: Deployment, generation_id: str) -> list[Path]:
    """Files that are ready, on this node's disk."""
    return list((site.data_dir / "work").glob(f"{generation_id}-*/*"))


def test_what_is_made_meanwhile_waits_for_the_store(deploy: Deploy, store: seaweed.Service) -> None:
    env = {"SAFELIGHT_MEDIA_URL": store.server.url("media"), "SAFELIGHT_IMAGE_DEADLINE": "4s"}
    site = deploy(*MODELS, env=env)
    api, other = site.serve(), site.worker()
    # Each worker makes a clip, to be known as ready; the first upload makes the bucket. None starts without the store.
    assert site.ended(api, site.video(api, "clip"))["status"] == "completed"
    other.signal(signal.SIGSTOP)
    worker = site.worker()
    assert site.ended(api, site.video(api, "clip"))["status"] == "completed"
    key = {"Idempotency-Key": "the very same"}
    body = {"model": "still", "prompt": "a slope"}
    store.stop()
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(site.request, api, "POST", "/v2/images/generations", body, **key)
        clip = site.video(api, "clip")
        eventually(lambda: waiting_files(site, clip), "the clip is made, and its file waits")

        # The lease goes on, and the runner stays the one.
        token, until = leased(site, clip)
        eventually(lambda: leased(site, clip)[1] > until, "the lease is renewed")
        assert leased(site, clip)[0] == token

        # The runner dies, its disk with it as far as another is concerned. That one asks for the job, and orders none.
        worker.kill()
        other.signal(signal.SIGCONT)
        eventually(lambda: leased(site, clip)[0] not in (None, token), "another runner has it")
        eventually(lambda: waiting_files(site, clip), "and has the clip")
        told = asked.result()
    assert (told.status_code, told.json()["error"]["code"]) == (504, "generation_unknown"), told.text
    still = site.sql("select id from generations where type = 'image' and finished_at is null")[0]["id"]
    assert still in told.text
    assert {site.state(generation_id) for generation_id in (clip, still)} == {"running"}

    assert store.start()
    assert site.ended(api, clip)["status"] == "completed"
    site.wait_for_state(still, "completed")
    assert site.row(still)["unseen"], "a repeat without an idempotency key joins it too"
    again = site.request(api, "POST", "/v2/images/generations", body, **key)
    assert (again.status_code, again.json().get("id")) == (200, still), again.text
    for made in (site.ended(api, clip), again.json()):
        path = made["data"][0]["url"].partition("/v2/")[2]
        assert site.request(api, "GET", f"/v2/{path}").status_code == 200
    for generation_id in (clip, still):
        assert (site.memory.calls(generation_id), site.memory.taken(generation_id)) == (1, 1)
        kinds = site.sql("select kind from transfers where generation_id = %s order by id", generation_id)
        assert [row["kind"] for row in kinds] == ["hold", "settle"]
    assert "Traceback" not in site.logs


def leased(site: Deployment, generation_id: str) -> tuple[object, object]:
    row = site.row(generation_id)
    return row["run_token"], row["lease_until"]
