"""A catalog that is edited while work is under way: what was asked is on record by name, and is asked again."""

from __future__ import annotations

import itertools

import pytest

from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process
from tests.support.server import eventually, safelight

SLOW = {"behaviour": "job", "job_seconds": 5.0}
LOST = {"behaviour": "lost_answer", "job_seconds": 1.0}
OURS = {"ours": {"kind": "chaos", "memory": "ours"}}
BOTH = {**OURS, "theirs": {"kind": "chaos", "memory": "theirs"}}


def bound(*names: str, options: dict[str, object] | None = None) -> Model:
    return Model("clip", "video", *((name, options or SLOW) for name in names))


def under_way(site: Deployment, api: Process) -> str:
    """A video that ``ours`` has the job of, and whose worker is killed."""
    worker = site.worker()
    generation_id = site.video(api, "clip")
    eventually(lambda: site.row(generation_id)["handle"] is not None, "the backend has the job")
    worker.kill()
    return generation_id


@pytest.fixture
def site(deploy: Deploy) -> Deployment:
    made = deploy()
    made.edit_catalog(bound("ours"), connections=OURS)
    return made


def taken(site: Deployment, memory: str, generation_id: str) -> int:
    return type(site.memory)(site.data_dir / "chaos" / memory).taken(generation_id)


def test_a_backend_put_first_takes_no_job_from_another(site: Deployment) -> None:
    generation_id = under_way(site, site.serve())
    site.edit_catalog(bound("theirs", "ours"), connections=BOTH)
    site.worker()
    assert site.ended(site.serve(), generation_id)["status"] == "completed"
    assert (taken(site, "ours", generation_id), taken(site, "theirs", generation_id)) == (1, 0)
    row = site.row(generation_id)
    assert (row["connection"], row["upstream_model"]) == ("ours", "clip")
    assert row["binding_options"]["job_seconds"] == 5.0
    site.check_one_end(generation_id)
    site.check_nothing_held()


def test_a_lost_answer_is_asked_of_the_backend_that_was_given_the_order(site: Deployment) -> None:
    site.edit_catalog(bound("ours", options=LOST), connections=OURS)
    worker = site.worker(KILLPOINT="run-after-submit")
    generation_id = site.video(site.serve(), "clip")
    eventually(lambda: not worker.is_alive, "it dies after the backend took the order")
    site.edit_catalog(bound("theirs", "ours"), connections=BOTH)
    site.worker()
    assert site.ended(site.serve(), generation_id)["status"] == "completed"
    assert (taken(site, "ours", generation_id), taken(site, "theirs", generation_id)) == (1, 0)


def test_a_model_taken_away_or_renamed_ends_what_it_began(site: Deployment) -> None:
    generation_id = under_way(site, site.serve())
    site.edit_catalog(Model("other", "video", ("noop", {})), connections=OURS)
    site.worker()
    assert site.ended(site.serve(), generation_id)["status"] == "completed"
    assert taken(site, "ours", generation_id) == 1


def test_a_connection_that_is_gone_is_told_and_asked_again_when_it_is_back(site: Deployment) -> None:
    generation_id = under_way(site, site.serve())
    site.edit_catalog(bound("theirs"), connections={"theirs": BOTH["theirs"]})
    worker = site.worker()
    site.wait_for_state(generation_id, "unknown")
    eventually(lambda: site.row(generation_id)["backend_reports"] is not None, "the row says so")
    report = site.row(generation_id)["backend_reports"][-1]
    assert (report["outcome"], report["detail"]) == ("unknown", "The catalog has no connection 'ours'. Put it back.")
    assert "The catalog has no connection 'ours'" in worker.log
    told = safelight("doctor", env=site.env)
    assert told.returncode == 1
    assert "connections that the catalog no longer has: 1 for 'ours'" in " ".join(told.stdout.split())
    assert taken(site, "theirs", generation_id) == 0
    worker.stop()
    site.edit_catalog(bound("theirs", "ours"), connections=BOTH)
    site.worker()
    assert site.ended(site.serve(), generation_id)["status"] == "completed"
    assert (taken(site, "ours", generation_id), taken(site, "theirs", generation_id)) == (1, 0)
    assert "problem  work" not in " ".join(safelight("doctor", env=site.env).stdout.split())
    site.check_one_end(generation_id)


def test_a_connection_that_stays_gone_costs_nothing_in_the_end(deploy: Deploy) -> None:
    site = deploy(env={"SAFELIGHT_VIDEO_DEADLINE": "8s"})
    site.edit_catalog(bound("ours", options={**SLOW, "job_seconds": 60.0}), connections=OURS)
    generation_id = under_way(site, site.serve())
    site.edit_catalog(bound("theirs"), connections={"theirs": BOTH["theirs"]})
    site.worker()
    assert site.ended(site.serve(), generation_id)["error"]["code"] == "generation_failed"
    site.check_one_end(generation_id, "failed")
    site.check_nothing_held()


def test_options_that_changed_do_not_touch_what_was_ordered(site: Deployment) -> None:
    generation_id = under_way(site, site.serve())
    site.edit_catalog(bound("ours", options={"behaviour": "html"}), connections=OURS)
    site.worker()
    assert site.ended(site.serve(), generation_id)["status"] == "completed"
    assert taken(site, "ours", generation_id) == 1


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Model("clip", "video", ("chaos", {"behavour": "ok"})), "options.behavour: there is no such key. Did you mean"),
        (Model("clip", "video", ("keyed", {})), "connection 'keyed': env:NOT_SET_ANYWHERE: the variable is not set"),
        (
            Model("clip", "video", ("noop", {}), deadline_seconds=2),
            "model 'clip': deadline_seconds (2) is not longer than SAFELIGHT_LEASE (2s)",
        ),
    ],
)
def test_what_does_not_fit_stops_the_start_and_the_doctor(
    deploy: Deploy, model: Model, message: str, command: str
) -> None:
    site = deploy()
    site.edit_catalog(model, connections={"keyed": {"kind": "chaos", "key": "env:NOT_SET_ANYWHERE"}})
    refused = safelight(command, env=site.env)
    assert refused.returncode == 1
    assert message in refused.stderr and str(site.catalog) in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    told = safelight("doctor", env=site.env)
    assert told.returncode == 1
    assert message in " ".join(told.stdout.split())


def test_a_connection_that_nothing_uses_is_not_opened(deploy: Deploy) -> None:
    site = deploy()
    site.edit_catalog(
        Model("still", "image", ("noop", {})), connections={"keyed": {"kind": "chaos", "key": "env:NOT_SET_ANYWHERE"}}
    )
    assert site.image(site.serve(), "still").status_code == 200


def test_a_connection_has_no_more_orders_at_once_than_its_limit(deploy: Deploy) -> None:
    site = deploy()
    site.edit_catalog(
        bound("narrow", options={"behaviour": "job", "job_seconds": 1.0}),
        connections={"narrow": {"kind": "chaos", "limits": {"concurrency": 1}}},
    )
    api = site.serve()
    site.worker()
    ids = [site.video(api, "clip") for _ in range(3)]
    for generation_id in ids:
        assert site.ended(api, generation_id)["status"] == "completed"
        assert site.memory.taken(generation_id) == 1
    began = sorted(job.taken_at for generation_id in ids if (job := site.memory.job(generation_id)))
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(began)), began
    site.check_nothing_held()
