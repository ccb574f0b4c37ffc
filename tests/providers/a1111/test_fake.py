"""The fake is judged by the API's usual Python client first, so that it is not merely our idea of the server."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import webuiapi  # type: ignore[import-not-found,import-untyped,unused-ignore]
from PIL import Image

from tests.providers.a1111.fake import FakeServer
from tests.providers.a1111.media import TRACE, picture

Start = Callable[..., FakeServer]


def client(server: FakeServer, *, password: str | None = None) -> Any:
    """Its default sampler is one that the fake has; it asks for the scripts as it begins."""
    return webuiapi.WebUIApi(
        port=server.port, sampler="Euler a", steps=4, username=server.user, password=password or server.key
    )


def test_it_makes_a_picture(fake: Start) -> None:
    server = fake()
    made = client(server).txt2img(prompt="a fox", negative_prompt="fog", seed=7, width=64, height=48)
    assert made.image.size == (64, 48) and TRACE in made.image.info["parameters"]
    assert (made.info["seed"], made.info["all_seeds"], made.parameters["prompt"]) == (7, [7], "a fox")
    assert server.orders()[-1].body["sampler_name"] == "Euler a"


def test_it_draws_a_seed_where_none_is_asked_for(fake: Start) -> None:
    api = client(fake())
    one, other = (api.txt2img(prompt="a fox", width=64, height=64).info["seed"] for _ in range(2))
    assert one > 0 and one != other


def test_it_begins_with_a_picture(fake: Start) -> None:
    server = fake()
    start = Image.open(io.BytesIO(picture(32, 32)))
    made = client(server).img2img(images=[start], prompt="a fox", width=64, height=64, denoising_strength=0.3)
    assert made.image.size == (64, 64) and made.parameters["init_images"] is None
    assert len(server.orders()[-1].body["init_images"]) == 1


def test_it_takes_no_more_pictures_than_it_makes(fake: Start) -> None:
    start = Image.open(io.BytesIO(picture(32, 32)))
    with pytest.raises(RuntimeError, match="bad number of images"):
        client(fake()).img2img(images=[start, start], prompt="a fox", width=64, height=64)


@pytest.mark.parametrize(
    ("flavor", "model", "outcome"),
    [
        ("a1111", "fake-model.safetensors [0123456789]", "fake-model"),
        ("a1111", "no-such-model", "other"),  # the one that is loaded
        ("forge", "fake-model", "fake-model"),
        ("forge", "no-such-model", None),
    ],
)
def test_a_model_is_chosen_for_one_picture(fake: Start, flavor: str, model: str, outcome: str | None) -> None:
    api, wanted = client(fake(flavor)), {"sd_model_checkpoint": model}
    if outcome is None:
        with pytest.raises(RuntimeError, match="not found"):
            api.txt2img(prompt="a fox", width=64, height=64, override_settings=wanted)
        return
    made = api.txt2img(prompt="a fox", width=64, height=64, override_settings=wanted)
    assert made.info["sd_model_name"] == outcome


def test_what_it_lists_is_read(fake: Start) -> None:
    api = client(fake())
    assert api.util_get_model_names() == ["fake-model.safetensors [0123456789]", "sdxl/other.safetensors [fedcba9876]"]
    assert api.util_get_sampler_names() == ["DPM++ 2M", "Euler a"]
    assert api.util_get_scheduler_names() == ["automatic"]
    assert api.util_get_current_model() == "sdxl/other.safetensors [fedcba9876]"
    assert (api.get_progress()["progress"], api.get_progress()["state"]["job_count"]) == (0, 0)


def test_an_interrupt_is_told_afterwards(fake: Start) -> None:
    api = client(fake())
    made = api.txt2img(prompt="a fox", width=64, height=64)
    api.interrupt()
    state = api.get_progress()["state"]
    assert state["interrupted"] and state["job_timestamp"] == made.info["job_timestamp"]


def test_it_refuses_a_wrong_password_and_a_wrong_sampler(fake: Start) -> None:
    server = fake()
    with pytest.raises(RuntimeError) as wrong:
        client(server, password="nope").txt2img(prompt="a fox", width=64, height=64)
    assert wrong.value.args[0] == 401
    with pytest.raises(RuntimeError) as wrong:
        client(server).txt2img(prompt="a fox", width=64, height=64, sampler_name="no such")
    assert wrong.value.args[0] == 404
