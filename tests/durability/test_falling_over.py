"""A job that was taken and made nothing: another is begun where that is certain and worth it, and one is charged."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from safelight.lifecycle.turns import MAX_ROUNDS
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process
from tests.support.server import eventually

FAILS = {"behaviour": "fails_later", "times": -1, "retry_after_seconds": 0.05, "job_seconds": 0.1}
OTHER = ("other", {})
CONNECTIONS = {"other": {"kind": "chaos", "memory": "other"}}


def as_(reason: str, **more: object) -> Mapping[str, object]:
    return {**FAILS, "fails_as": reason, **more}


# model -> its bindings, the error it ends with, how many jobs the first backend took, and the other
CASES: dict[str, tuple[tuple[tuple[str, Mapping[str, object]], ...], str | None, int, int]] = {
    "again": ((("chaos", as_("transient", times=2)),), None, 3, 0),
    "limited-again": ((("chaos", as_("rate_limited", times=2)),), None, 3, 0),
    "next": ((("chaos", as_("transient")), OTHER), None, 1, 1),
    "quota-next": ((("chaos", as_("quota")), OTHER), None, 1, 1),
    "blind-next": ((("chaos-blind", as_("transient")), OTHER), None, 1, 1),
    "for-ever": ((("chaos", as_("transient")),), "generation_failed", MAX_ROUNDS, 0),
    "quota": ((("chaos", as_("quota")),), "generation_failed", 1, 0),
    "permanent": ((("chaos", as_("permanent")), OTHER), "generation_failed", 1, 0),
    "auth": ((("chaos", as_("auth")), OTHER), "generation_failed", 1, 0),
    "policy": ((("chaos", as_("content_policy")), OTHER), "content_policy_violation", 1, 0),
    "bad-input": ((("chaos", as_("bad_input")), OTHER), "invalid_parameter", 1, 0),
    # Nobody had asked it to: that is a failure of its own, and a client may try again.
    "gave-up": ((("chaos", as_("canceled")), OTHER), "generation_failed", 1, 0),
    # Its answer was lost: that a job of ours failed, found later, does not say that there is no other.
    "was-unknown": ((("chaos", as_("transient", loses_answer=True)), OTHER), "generation_failed", 1, 0),
    # It asks for a pause that ends after the deadline.
    "too-late": ((("chaos", as_("transient", retry_after_seconds=1e9)),), "generation_failed", 1, 0),
    "too-late-next": ((("chaos", as_("transient", retry_after_seconds=1e9)), OTHER), None, 1, 1),
}


def models(type_: str) -> list[Model]:
    made = [Model(f"{type_}-{name}", type_, *case[0]) for name, case in CASES.items()]
    return [*made, Model(f"{type_}-slow", type_, ("chaos", as_("transient", job_seconds=3)), OTHER)]


@pytest.fixture(scope="module")
def site(deploy_for_all: Deploy) -> Deployment:
    made = deploy_for_all()
    made.edit_catalog(*models("video"), *models("image"), connections=CONNECTIONS)
    made.worker()
    return made


@pytest.fixture(scope="module")
def api(site: Deployment) -> Process:
    return site.serve()


@pytest.fixture(scope="module")
def videos(site: Deployment, api: Process) -> dict[str, str]:
    return {name: site.video(api, f"video-{name}") for name in CASES}


def taken(site: Deployment, generation_id: str) -> tuple[int, int]:
    other = type(site.memory)(site.data_dir / "chaos" / "other")
    return site.memory.taken(generation_id), other.taken(generation_id)


@pytest.mark.parametrize("name", CASES)
def test_a_video_whose_job_fails(site: Deployment, api: Process, videos: dict[str, str], name: str) -> None:
    _, code, first, other = CASES[name]
    answer = site.ended(api, videos[name])
    assert (answer.get("error") or {}).get("code") == code, answer
    assert taken(site, videos[name]) == (first, other)
    site.check_one_end(videos[name], "failed" if code else "completed")
    row = site.row(videos[name])
    assert row["charged_thousandths"] == (0 if code else 2000)
    assert row["tries"] == first + other - 1, "the last job is no try that came to nothing before it"
    assert len(row["backend_reports"]) == row["tries"] + (code is not None) + (name == "was-unknown")
    assert row["handle"] is not None or other, "the last job stays on record"


@pytest.mark.parametrize("name", ["again", "next", "for-ever", "policy", "gave-up"])
def test_an_image_whose_job_fails(site: Deployment, api: Process, name: str) -> None:
    _, code, first, other = CASES[name]
    answer = site.image(api, f"image-{name}")
    assert (answer.json().get("error") or {}).get("code") == code, answer.text
    (row,) = site.sql("select id from generations where model = %s", f"image-{name}")
    assert taken(site, row["id"]) == (first, other)
    site.check_one_end(row["id"], "failed" if code else "completed")


def test_nothing_is_begun_after_a_wish_to_cancel(site: Deployment, api: Process) -> None:
    generation_id = site.video(api, "video-slow")
    eventually(lambda: site.row(generation_id)["handle"] is not None, "the backend has it")
    answer = site.request(api, "DELETE", f"/v2/videos/generations/{generation_id}")
    assert answer.json()["cancellation"] in ("requested", "canceled")
    site.wait_for_state(generation_id, "canceled")
    assert taken(site, generation_id) == (1, 0)
    site.check_one_end(generation_id, "canceled")


def test_tries_are_counted_over_runners(deploy: Deploy) -> None:
    site = deploy(Model("for-ever", "video", ("chaos", FAILS)), env={"SAFELIGHT_LEASE": "50s"})
    api = site.serve()
    generation_id = site.video(api, "for-ever")
    for tries in (1, 2, 3):
        site.worker(KILLPOINT="run-after-withdraw").wait()
        assert site.row(generation_id)["tries"] == site.memory.taken(generation_id) == tries
        site.let_lease_run_out(generation_id)
    site.worker()
    assert site.ended(api, generation_id)["error"]["code"] == "generation_failed"
    assert site.memory.taken(generation_id) == MAX_ROUNDS
    site.check_one_end(generation_id, "failed")
    site.check_nothing_held()


def test_nothing_is_left_over(site: Deployment, api: Process, videos: dict[str, str]) -> None:
    for generation_id in videos.values():
        site.ended(api, generation_id)
    site.check_nothing_held()
