"""What a generation that came to nothing answers, and that it costs nothing."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.accounts import Accounts
from tests.contract.bodies import IMAGES, VIDEOS
from tests.support.server import eventually


@pytest.mark.parametrize(
    ("model", "code"), [("failing-video", "generation_failed"), ("refused-video", "content_policy_violation")]
)
def test_a_failed_video(model: str, code: str, http: httpx.Client) -> None:
    accepted = http.post(VIDEOS, json={"model": model, "prompt": "Clouds over a peak"}).json()
    url = f"{VIDEOS}/{accepted['id']}"
    eventually(lambda: http.get(url).json()["status"] != "pending", "the video fails")
    answer = http.get(url)
    assert answer.status_code == 200
    assert list(answer.json()) == ["id", "status", "error"]
    assert (answer.json()["id"], answer.json()["status"]) == (accepted["id"], "failed")
    assert list(answer.json()["error"]) == ["code", "message"]
    assert answer.json()["error"]["code"] == code
    assert "as its options say" not in answer.text  # a backend's own words are not for clients


@pytest.mark.parametrize(
    ("model", "status", "code", "should_retry"),
    [
        ("failing-image", 502, "generation_failed", "true"),
        ("refused-image", 422, "content_policy_violation", None),
    ],
)
def test_a_failed_image(model: str, status: int, code: str, should_retry: str | None, http: httpx.Client) -> None:
    answer = http.post(IMAGES, json={"model": model, "prompt": "A mountain"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers.get("x-should-retry") == should_retry
    assert "x-ratelimit-remaining" in answer.headers
    assert "as its options say" not in answer.text


def test_a_pending_video_is_told_as_such(http: httpx.Client) -> None:
    accepted = http.post(VIDEOS, json={"model": "slow-video", "prompt": "Clouds over a peak"})
    url = f"{VIDEOS}/{accepted.json()['id']}"
    waiting = http.get(url).json()
    assert waiting.pop("queue_position", 1) >= 1, "until a worker takes it"
    assert waiting == accepted.json()
    eventually(lambda: "queue_position" not in http.get(url).json(), "a worker takes it")
    answer = http.get(url)
    assert answer.content == accepted.content
    assert list(answer.json()) == ["id", "status"]
    assert answer.json()["status"] == "pending"


def test_failures_cost_nothing(accounts: Accounts) -> None:
    account = accounts.create(credit="1")
    with account.http() as http:
        http.post(IMAGES, json={"model": "failing-image", "prompt": "A mountain"})
        accepted = http.post(VIDEOS, json={"model": "failing-video", "prompt": "Clouds over a peak"}).json()
        url = f"{VIDEOS}/{accepted['id']}"
        eventually(lambda: http.get(url).json()["status"] == "failed", "the video fails")
        assert http.get("/v2/billing/balance").json() == {"balance": "1.00", "currency": "USD"}
