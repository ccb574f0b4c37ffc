"""sd-server's /sdapi/v1, shaped like the API of Stable Diffusion WebUI."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.real.pictures import decode, png

SMALL: dict[str, Any] = {"prompt": "a red fox", "width": 64, "height": 64, "steps": 2, "cfg_scale": 1}


def test_a_picture(client: httpx.Client) -> None:
    body = SMALL | {"seed": 5, "batch_size": 2, "n_iter": 3}
    told = client.post("/sdapi/v1/txt2img", json=body).json()
    assert told.keys() == {"images", "info", "parameters"}
    assert (told["info"], told["parameters"]) == ("", body), "no seed in it, and what was sent comes back"
    pictures = [decode(image) for image in told["images"]]
    assert [picture.size for picture in pictures] == [(64, 64)] * 2, "n_iter is not known to it"
    assert "Seed: 6" in pictures[1].info["parameters"]


def test_it_heeds_a_seed(client: httpx.Client) -> None:
    one, again, other = (
        client.post("/sdapi/v1/txt2img", json=SMALL | {"seed": seed}).json()["images"] for seed in (5, 5, 6)
    )
    assert one == again != other


def test_a_picture_to_begin_with(client: httpx.Client) -> None:
    red, blue = (
        {"init_images": [base64.b64encode(png((64, 64), colour)).decode()], "denoising_strength": 0.3}
        for colour in ((220, 30, 20), (20, 40, 220))
    )
    answers = [client.post("/sdapi/v1/img2img", json=SMALL | start) for start in (red, blue)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["images"] != answers[1].json()["images"]
    assert answers[0].json()["parameters"]["init_images"] == red["init_images"], "it is sent back whole"


def test_what_is_no_picture_is_dropped_and_the_answer_is_a_success(client: httpx.Client) -> None:
    answer = client.post("/sdapi/v1/img2img", json=SMALL | {"init_images": ["AAAA"]})
    assert answer.status_code == 200
    assert len(answer.json()["images"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({"prompt": ""}, 400, {"error": "prompt required"}),
        ({"width": 0}, 400, {"error": "width and height must be positive"}),
    ],
)
def test_refusals(client: httpx.Client, body: dict[str, Any], status: int, answer: dict[str, str]) -> None:
    given = client.post("/sdapi/v1/txt2img", json=SMALL | body)
    assert (given.status_code, given.json()) == (status, answer)


@pytest.mark.parametrize("path", ["progress", "interrupt", "png-info"])
def test_what_it_lacks(client: httpx.Client, path: str) -> None:
    assert client.get(f"/sdapi/v1/{path}").status_code == 404


def test_the_model_is_told_by_its_file(client: httpx.Client) -> None:
    (model,) = client.get("/sdapi/v1/sd-models").json()
    assert (model["title"], model["filename"], model["hash"]) == ("model", "model.safetensors", "8888888888")
    assert client.get("/sdapi/v1/options").json() == {"samples_format": "png", "sd_model_checkpoint": "model"}
