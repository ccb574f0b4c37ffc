"""A worker that cannot run a generation, as it lacks the model or a connection, leaves it to one that can."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process
from tests.support.server import eventually

PATIENT, HASTY = 600, 8
OTHERS = (Model("other", "video", ("noop", {})),)


def models(site: Deployment) -> tuple[Model, ...]:
    return (
        Model("clip", "video", ("chaos", {}), deadline_seconds=PATIENT),
        Model("hasty", "video", ("chaos", {}), deadline_seconds=HASTY),
        Model("keyed", "video", ("locked", {}), deadline_seconds=PATIENT),
        Model("keyed-hasty", "video", ("locked", {}), deadline_seconds=HASTY),
        Model("keyed-or-chaos", "video", ("locked", {}), ("chaos", {})),
        Model("still", "image", ("locked", {})),
        *OTHERS,
    )


def key_file(site: Deployment) -> Path:
    return site.folder / "key"


@pytest.fixture(scope="module")
def site(deploy_for_all: Deploy) -> Deployment:
    made = deploy_for_all()
    key_file(made).write_text("a-key")
    return made


@pytest.fixture(scope="module")
def api(site: Deployment) -> Process:
    """It knows every model; the key of one connection goes after the start."""
    connections = {"locked": {"kind": "chaos", "key": f"file:{key_file(site)}"}}
    site.edit_catalog(*models(site), connections=connections)
    return site.serve()


def poor(site: Deployment, **env: str) -> Process:
    """A worker of an older catalog."""
    older = site.folder / "older.toml"
    older.write_text("".join(model.toml() for model in OTHERS))
    return site.worker(CATALOG=str(older), **env)


def left(site: Deployment, generation_id: str) -> list[str]:
    reports = site.row(generation_id)["backend_reports"] or []
    return [report["detail"] for report in reports if report["outcome"] == "left"]


def wake(site: Deployment) -> None:
    """What waits to be offered again has waited."""
    site.sql("update generations set wake_at = now() where wake_at is not null")


def test_what_a_worker_does_not_know_waits_for_one_that_does(site: Deployment, api: Process) -> None:
    worker = poor(site)
    generation_id, canceled = site.video(api, "clip"), site.video(api, "clip")
    for each in (generation_id, canceled):
        eventually(lambda each=each: bool(left(site, each)), "the worker leaves it")  # type: ignore[misc]
    row = site.row(generation_id)
    assert (row["state"], row["attempts"], row["submitted_at"]) in [("queued", 0, None), ("running", 1, None)]
    assert row["wake_at"] is None or row["wake_at"] >= row["created_at"] + timedelta(seconds=1), (
        "it is not taken at once"
    )
    answer = site.request(api, "DELETE", f"/v2/videos/generations/{canceled}")
    assert answer.json()["cancellation"] == "canceled", "there is nothing to wait for"
    site.check_one_end(canceled, "canceled")
    # Taken again and again, and told once.
    eventually(lambda: worker.log.count("left to another worker") >= 4, "it is offered again")
    assert left(site, generation_id) == ["the catalog of this worker has no model 'clip'"]
    assert site.memory.calls(generation_id) == 0
    worker.kill()
    wake(site)
    poor(site, KILLPOINT="leave-after-commit").wait()
    wake(site)
    able = site.worker()
    assert site.ended(api, generation_id)["status"] == "completed"
    site.check_one_end(generation_id)
    assert site.row(generation_id)["attempts"] <= 2, "leaving is no lost attempt"
    able.kill()


def test_it_fails_at_its_own_deadline_and_says_why(site: Deployment, api: Process) -> None:
    worker, generation_id = poor(site), site.video(api, "hasty")
    assert site.ended(api, generation_id)["error"]["code"] == "generation_failed"
    row = site.row(generation_id)
    assert row["deadline"] - row["created_at"] == timedelta(seconds=HASTY) <= row["finished_at"] - row["created_at"]
    why = "the catalog of this worker has no model 'hasty'"
    details = [report["detail"] for report in row["backend_reports"]]
    worker.kill()
    assert details == [why, f"the deadline passed, and no worker could run it: {why}"]
    site.check_one_end(generation_id, "failed")


def test_a_connection_that_cannot_be_opened_here(site: Deployment, api: Process) -> None:
    site.worker()
    site.ended(api, site.video(api, "other"))  # it has started, and read its catalog
    key = key_file(site)
    key.rename(site.folder / "away")
    patient, hasty, second = (site.video(api, model) for model in ("keyed", "keyed-hasty", "keyed-or-chaos"))
    assert site.ended(api, second)["status"] == "completed", "the next binding can be asked"
    assert site.image(api, "still").status_code == 502, "somebody waits for it, and nobody else takes it up"
    assert site.ended(api, hasty)["error"]["code"] == "generation_failed"
    assert "no worker could run it: connection 'locked': file:" in site.row(hasty)["backend_reports"][-1]["detail"]
    assert len(left(site, patient)) == 1
    (site.folder / "away").rename(key)
    wake(site)
    assert site.ended(api, patient)["status"] == "completed"
    for generation_id, state in ((patient, "completed"), (second, "completed"), (hasty, "failed")):
        site.check_one_end(generation_id, state)
        assert site.memory.taken(generation_id) == (state == "completed")


def test_nothing_is_left_over(site: Deployment, api: Process) -> None:
    site.check_nothing_held()
    assert "a-key" not in site.logs
