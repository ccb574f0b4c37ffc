"""What a request may ask beyond the public contract: a seed, what to avoid, and options for the backend."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.bodies import IMAGES, VIDEOS
from tests.support.server import Server, eventually

ASKED = {"seed": 4294967295, "negative_prompt": "fog", "provider_options": {"steps": {"first": [1, 2.5, None, "x"]}}}
IMAGE = {"model": "noop-image", "prompt": "A mountain at dawn"}
VIDEO = {"model": "noop-video", "prompt": "Clouds over a peak"}


def test_an_image_tells_the_seed_that_was_used(http: httpx.Client) -> None:
    answer = http.post(IMAGES, json=IMAGE | ASKED)
    assert answer.status_code == 200, answer.text
    assert answer.json()["seed"] == 4294967295
    assert http.get(f"{IMAGES}/{answer.json()['id']}").json()["seed"] == 4294967295
    assert "seed" not in http.post(IMAGES, json=IMAGE).json(), "nobody knows of one"


def test_a_video_tells_the_seed_that_was_used(http: httpx.Client) -> None:
    video_id = http.post(VIDEOS, json=VIDEO | ASKED).json()["id"]
    eventually(lambda: http.get(f"{VIDEOS}/{video_id}").json()["status"] == "completed", "the video is made")
    assert http.get(f"{VIDEOS}/{video_id}").json()["seed"] == 4294967295
    listed = http.get("/v2/generations?type=video&limit=100").json()["data"]
    assert next(item for item in listed if item["id"] == video_id)["seed"] == 4294967295


@pytest.mark.parametrize("blank", ["", "   ", "\u200b"])
def test_a_blank_negative_prompt_is_none(blank: str, http: httpx.Client) -> None:
    assert http.post(IMAGES, json=IMAGE | {"negative_prompt": blank}).status_code == 200
    assert http.post(VIDEOS, json=VIDEO | {"model": "silent-video", "negative_prompt": blank}).status_code == 202


def test_no_option_at_all_is_taken_by_every_model(http: httpx.Client) -> None:
    assert http.post(VIDEOS, json=VIDEO | {"model": "silent-video", "provider_options": {}}).status_code == 202


def test_models_say_what_they_take(http: httpx.Client) -> None:
    def takes(model: str) -> list[Any]:
        entry = http.get(f"/v2/models/{model}").json()
        names = ("supports_seed", "supports_negative_prompt", "supported_provider_options")
        return [entry[name] for name in names]

    assert takes("noop-image") == [True, True, ["steps"]]
    assert takes("silent-video") == [False, False, []]


def test_the_renderer_draws_by_its_seed(server: Server) -> None:
    """The same seed is the same picture, another is another; without one each order has its own, which is told."""
    body = {"model": "z-image-turbo", "prompt": "A lake", "output_format": "png"}

    def drawn(**asked: int) -> tuple[int, bytes]:
        answer = httpx.post(f"{server.base_url}{IMAGES}", json=body | asked, headers=server.headers, timeout=60).json()
        return answer["seed"], httpx.get(answer["data"][0]["thumbnail_url"]).content

    seven, again, eight, none, another = drawn(seed=7), drawn(seed=7), drawn(seed=8), drawn(), drawn()
    assert seven == again and seven[0] == 7
    assert seven[1] != eight[1]
    assert none[0] != another[0] and none[1] != another[1], "two orders are two pictures"
    assert drawn(seed=none[0]) == none
