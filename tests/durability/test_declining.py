"""Backends that decline for now or for good, or cannot say: who is asked again, who is asked instead, who waits."""

from __future__ import annotations

import pytest

from safelight.lifecycle.dispatch import MAX_ATTEMPTS
from safelight.lifecycle.turns import MAX_ROUNDS
from safelight.providers.chaos import CANARY
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process

DOWN = {"behaviour": "unavailable", "times": -1, "retry_after_seconds": 0.05}
MODELS = (
    Model("limited", "video", ("chaos", {"behaviour": "rate_limited"})),
    Model("away", "video", ("chaos", {"behaviour": "unavailable"})),
    Model("down", "video", ("chaos", DOWN)),
    Model("bad-key", "video", ("chaos", {"behaviour": "raw_error"})),
    Model("crash", "video", ("chaos", {"behaviour": "crash"})),
    Model("crash-image", "image", ("chaos", {"behaviour": "crash"})),
    Model("down-then-ok", "video", ("chaos", DOWN), ("chaos-blind", {})),
    Model("lost-then-ok", "video", ("chaos-blind", {"behaviour": "lost_answer"}), ("noop", {})),
    Model("down-image", "image", ("chaos", DOWN)),
    Model("down-then-ok-image", "image", ("chaos", DOWN), ("chaos-blind", {})),
)


def one_model_site(deploy: Deploy, **env: str) -> tuple[Deployment, Process]:
    """A site of its own: the breaker counts per process."""
    site = deploy(*MODELS, env=env)
    site.worker()
    return site, site.serve()


@pytest.mark.parametrize("model", ["limited", "away"])
def test_asked_again_until_it_takes_it(deploy: Deploy, model: str) -> None:
    site, api = one_model_site(deploy)
    generation_id = site.video(api, model)
    assert site.ended(api, generation_id)["status"] == "completed"
    assert (site.memory.calls(generation_id), site.memory.taken(generation_id)) == (3, 1)


def test_declined_for_good(deploy: Deploy) -> None:
    site, api = one_model_site(deploy)
    down, bad_key = site.video(api, "down"), site.video(api, "bad-key")
    assert site.ended(api, down)["error"]["code"] == "generation_failed"
    assert site.memory.calls(down) == MAX_ROUNDS
    assert site.ended(api, bad_key)["error"]["code"] == "generation_failed"
    assert site.memory.calls(bad_key) == 1, "another try would not mend a key"
    for generation_id in (down, bad_key):
        site.check_one_end(generation_id, "failed")
    site.check_nothing_held()
    assert CANARY not in site.logs


def test_the_next_backend_is_asked_only_if_the_first_certainly_took_nothing(deploy: Deploy) -> None:
    site, api = one_model_site(deploy, SAFELIGHT_VIDEO_DEADLINE="8s")
    declined, lost = site.video(api, "down-then-ok"), site.video(api, "lost-then-ok")
    assert site.ended(api, declined)["status"] == "completed"
    assert site.memory.taken(declined) == 1
    site.wait_for_state(lost, "unknown")
    assert site.sql("select held_nanos from accounts")[0]["held_nanos"] == site.row(lost)["held_nanos"]
    answer = site.ended(api, lost)
    assert answer["error"]["code"] == "generation_failed"
    assert (site.memory.calls(lost), site.memory.taken(lost)) == (1, 1)
    row = site.row(lost)
    assert row["finished_at"] >= row["deadline"], "held until the deadline"
    site.check_one_end(lost, "failed")
    site.check_nothing_held()


def test_an_adapter_that_always_breaks_fails_in_the_end(deploy: Deploy) -> None:
    site, api = one_model_site(deploy)
    generation_id = site.video(api, "crash")
    assert site.ended(api, generation_id)["error"]["code"] == "generation_failed"
    assert site.memory.calls(generation_id) == MAX_ATTEMPTS
    site.check_one_end(generation_id, "failed")
    site.check_nothing_held()
    assert CANARY not in site.logs


def test_a_backend_that_keeps_failing_is_left_alone(deploy: Deploy) -> None:
    site, api = one_model_site(deploy)
    assert site.image(api, "down-image").status_code == 502, "four times declined"
    answer = site.image(api, "down-then-ok-image")
    assert answer.status_code == 200
    first = site.memory.calls(answer.json()["id"])
    answer = site.image(api, "down-then-ok-image")
    assert answer.status_code == 200
    assert first == 2, "asked once more, and declined a fifth time; then the other took it"
    assert site.memory.calls(answer.json()["id"]) == 1, "the breaker is open: only the other was asked"


def test_a_binding_that_breaks_leaves_the_other_models_of_its_connection_alone(deploy: Deploy) -> None:
    """An open breaker would keep the good model waiting for 30 s, past its deadline."""
    site = deploy(*MODELS, Model("good-image", "image", ("chaos", {})), env={"SAFELIGHT_IMAGE_DEADLINE": "8s"})
    api = site.serve()
    for _ in range(7):
        assert site.image(api, "crash-image").status_code == 504, "nobody knows what it did"
    for _ in range(3):
        answer = site.image(api, "good-image")
        assert answer.status_code == 200, answer.text
        assert site.memory.calls(answer.json()["id"]) == 1
