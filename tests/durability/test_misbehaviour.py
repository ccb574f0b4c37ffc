"""Every way in which a backend can misbehave: the generation ends cleanly, or is found again, and nobody pays twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from safelight.providers.chaos import CANARY
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process

FAILED = ("failed", "generation_failed")
REFUSED = ("failed", "content_policy_violation")
DONE = ("completed", None)

# behaviour -> how it ends, how often the backend took it
VIDEOS = {
    "ok": (DONE, 1),
    "job": (DONE, 1),
    "short_clip": (DONE, 1),
    "late_callback": (DONE, 1),
    "accept_then_hang": (DONE, 1),
    "lost_answer": (DONE, 1),
    "truncated": (FAILED, 1),
    "truncated_download": (DONE, 1),
    "unavailable_download": (DONE, 1),
    "expired_download": (DONE, 1),
    "html": (FAILED, 1),
    "html_download": (FAILED, 1),
    "wrong_type": (FAILED, 1),
    "empty": (FAILED, 1),
    "redirect_private": (FAILED, 1),
    "refused": (REFUSED, 0),
    "refused_empty": (REFUSED, 1),
    "refused_black": (REFUSED, 1),
    "flat": (DONE, 1),
    "fails_later": (DONE, 3),  # two jobs fail, and the third is paid
}
IMAGES = {
    "ok": 200,
    "job": 200,
    "truncated": 502,
    "truncated_download": 200,
    "unavailable_download": 200,
    "expired_download": 200,
    "html": 502,
    "wrong_type": 502,
    "empty": 502,
    "endless": 502,
    "redirect_private": 502,
    "refused": 422,
    "refused_empty": 422,
    "refused_black": 422,
    "flat": 200,
}

STRICT = {"strict": {"kind": "chaos", "flat_is_refusal": True}}
BINDINGS: dict[str, tuple[str, dict[str, object]]] = {
    "expired_download": ("chaos", {"behaviour": "expired_download", "polled": True}),  # only of a job it can be asked
    "refused_black": ("strict", {"behaviour": "refused_black"}),
    "flat": ("chaos", {"behaviour": "refused_black"}),
}


def model(name: str, type_: str) -> Model:
    return Model(f"{type_[0]}-{name.replace('_', '-')}", type_, BINDINGS.get(name, ("chaos", {"behaviour": name})))


@pytest.fixture(scope="module")
def site(deploy_for_all: Deploy) -> Deployment:
    models = [model(name, "video") for name in VIDEOS] + [model(name, "image") for name in IMAGES]
    models.append(Model("found-later", "video", ("chaos", {"behaviour": "lost_answer", "finds": "later"})))
    models.append(Model("unknown-image", "image", ("chaos", {"behaviour": "lost_answer"})))
    made = deploy_for_all(env={"SAFELIGHT_LOG_LEVEL": "debug"})
    made.edit_catalog(*models, connections=STRICT)
    return made


@pytest.fixture(scope="module")
def api(site: Deployment) -> Process:
    site.worker()
    return site.serve()


@pytest.fixture(scope="module")
def videos(site: Deployment, api: Process) -> dict[str, str]:
    return {name: site.video(api, f"v-{name.replace('_', '-')}") for name in VIDEOS}


@pytest.fixture(scope="module")
def images(site: Deployment, api: Process) -> dict[str, httpx.Response]:
    with ThreadPoolExecutor(len(IMAGES)) as threads:
        answers = threads.map(lambda name: site.image(api, f"i-{name.replace('_', '-')}"), IMAGES)
        return dict(zip(IMAGES, answers, strict=True))


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_ends_cleanly(site: Deployment, api: Process, videos: dict[str, str], name: str) -> None:
    (status, code), taken = VIDEOS[name]
    answer = site.ended(api, videos[name])
    assert (answer["status"], (answer.get("error") or {}).get("code")) == (status, code), answer
    assert CANARY not in str(answer)
    site.check_one_end(videos[name], status)
    assert site.memory.taken(videos[name]) == taken
    charged = site.row(videos[name])["charged_thousandths"]
    assert charged == (0 if status == "failed" else 1000 if name == "short_clip" else 2000)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_ends_cleanly(images: dict[str, httpx.Response], name: str) -> None:
    assert images[name].status_code == IMAGES[name], images[name].text
    assert CANARY not in images[name].text


def test_a_backend_that_cannot_tell_at_first_is_asked_again(site: Deployment, api: Process) -> None:
    generation_id = site.video(api, "found-later")
    assert site.ended(api, generation_id)["status"] == "completed"
    assert (site.memory.calls(generation_id), site.memory.taken(generation_id)) == (1, 1)
    assert site.memory.asked(generation_id) >= 3


def test_an_image_whose_answer_was_lost_can_be_fetched(site: Deployment, api: Process) -> None:
    answer = site.image(api, "unknown-image")
    assert answer.status_code >= 500
    assert answer.json()["error"]["code"] == "generation_unknown", answer.text
    (row,) = site.sql("select id from generations where model = 'unknown-image'")
    site.wait_for_state(row["id"], "completed")
    site.check_one_end(row["id"])
    assert site.memory.taken(row["id"]) == 1


def test_what_comes_after_the_end_changes_nothing(
    site: Deployment, api: Process, videos: dict[str, str], images: object
) -> None:
    """Late progress, and wake-ups that come twice."""
    for generation_id in videos.values():
        site.ended(api, generation_id)
    before = site.sql("select * from generations where finished_at is not null and type = 'video' order by id")
    for row in before:
        site.sql(
            "insert into procrastinate_jobs (queue_name, task_name, args)"
            " select 'remote', 'run_generation', jsonb_build_object('generation_id', %s::text)"
            " from generate_series(1, 2)",
            row["id"],
        )
    last = site.video(api, "v-ok")
    site.ended(api, last)
    assert [site.row(row["id"]) for row in before] == before
    site.wait_for_state(last, "completed")


def test_nothing_is_held_and_nothing_leaked(
    site: Deployment, api: Process, videos: dict[str, str], images: object
) -> None:
    for generation_id in videos.values():
        site.ended(api, generation_id)
    for row in site.sql("select id from generations where finished_at is null"):
        site.wait_for_state(row["id"], "completed", "failed")
    site.check_nothing_held()
    assert CANARY not in site.logs
    assert "Traceback" not in site.logs
    assert "10.0.0.1" not in str([answer.text for answer in images.values()])  # type: ignore[attr-defined]
