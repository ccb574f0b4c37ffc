"""sd-server's /v1/images/generations: what of a request it heeds, and what it answers."""

from __future__ import annotations

import json
from itertools import pairwise

import httpx
import pytest

from tests.real.engine import Engine
from tests.real.pictures import generate, made


def test_a_picture_comes_as_base64_and_nothing_tells_its_size_seed_or_cost(client: httpx.Client) -> None:
    answer = client.post("/v1/images/generations", json={"prompt": "a red fox", "size": "64x64"})
    (picture,) = made(answer)
    assert (picture.format, picture.size) == ("PNG", (64, 64))
    assert answer.json().keys() == {"created", "data", "output_format"}
    assert answer.json()["data"][0].keys() == {"b64_json"}
    assert not {"x-request-id", "retry-after", "date"} & answer.headers.keys()


def test_the_pictures_are_of_the_prompt(client: httpx.Client) -> None:
    fox, again, car = (generate(client, prompt=prompt)[0] for prompt in ("a red fox", "a red fox", "a blue car"))
    assert fox.tobytes() == again.tobytes()
    assert fox.tobytes() != car.tobytes()
    assert len(fox.getcolors(64 * 64) or []) > 100, "it is no flat colour"


def test_the_file_carries_prompt_seed_and_model(client: httpx.Client) -> None:
    (picture,) = generate(client)
    told = picture.info["parameters"]
    assert told.startswith("a red fox\n")
    assert "Seed: 42" in told
    assert "model.safetensors" in told


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("128x64", (128, 64)),
        ("70x90", (72, 96)),  # up to the next multiple, of 8 for this model
        ("1x1", (8, 8)),
        ("auto", (64, 64)),  # what it cannot read is what it was started with
        ("64X64", (64, 64)),
        ("96x", (96, 64)),
        ("", (64, 64)),
        ("0x64", (512, 64)),
        ("-64x64", (512, 64)),
    ],
)
def test_sizes_are_rounded_up_and_never_refused(client: httpx.Client, asked: str, given: tuple[int, int]) -> None:
    assert [picture.size for picture in generate(client, size=asked)] == [given]


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (2, 2), (0, 1), (-3, 1), (9, 8)])
def test_one_to_eight_pictures_are_made_whatever_is_asked(client: httpx.Client, asked: int, given: int) -> None:
    assert len(generate(client, n=asked, size="8x8")) == given


@pytest.mark.parametrize(("asked", "given"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("JPEG", "JPEG")])
def test_formats(client: httpx.Client, asked: str, given: str) -> None:
    answer = client.post("/v1/images/generations", json={"prompt": "a red fox", "output_format": asked})
    (picture,) = made(answer)
    assert picture.format == given
    assert answer.json()["output_format"] == asked.lower()


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", 5), ("model", "none of its own"), ("negative_prompt", "a fox"), ("response_format", "url"), ("steps", 4)],
)
def test_fields_that_it_does_not_know_change_nothing(client: httpx.Client, field: str, value: object) -> None:
    assert generate(client, **{field: value})[0].tobytes() == generate(client)[0].tobytes()


def test_a_key_is_not_looked_at(client: httpx.Client) -> None:
    answer = client.post("/v1/images/generations", json={"prompt": "x"}, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 200


def with_extras(prompt: str, **extras: object) -> str:
    return f"{prompt}<sd_cpp_extra_args>{json.dumps(extras)}</sd_cpp_extra_args>"


def test_a_seed_rides_in_the_prompt(client: httpx.Client) -> None:
    five, again, six = (generate(client, prompt=with_extras("a red fox", seed=seed))[0] for seed in (5, 5, 6))
    assert five.tobytes() == again.tobytes()
    assert five.tobytes() != six.tobytes()
    assert "sd_cpp_extra_args" not in five.info["parameters"]


def test_of_several_pictures_each_has_the_next_seed(client: httpx.Client) -> None:
    several = generate(client, prompt=with_extras("a red fox", seed=5), n=2)
    alone = [generate(client, prompt=with_extras("a red fox", seed=seed))[0] for seed in (5, 6)]
    assert [picture.tobytes() for picture in several] == [picture.tobytes() for picture in alone]


def test_whoever_writes_the_prompt_can_order_anything(client: httpx.Client) -> None:
    """Size and number stand in the request as the gateway wrote them, and the words of its client overrule them."""
    prompt = with_extras("a red fox", width=128, height=8, batch_count=2, embed_image_metadata=False)
    pictures = generate(client, prompt=prompt, size="64x64", n=1)
    assert [(picture.size, picture.info) for picture in pictures] == [((128, 8), {})] * 2


def test_a_random_seed_is_the_second_of_the_day(client: httpx.Client) -> None:
    """Of a few in a row most are the same: the generator is seeded anew for each, by a clock that counts seconds."""
    pictures = [generate(client, prompt=with_extras("a red fox", seed=-1), size="8x8")[0] for _ in range(12)]
    seeds = [picture.info["parameters"].split("Seed: ")[1].split(",")[0] for picture in pictures]
    assert any(one == next_one for one, next_one in pairwise(seeds))


def test_the_model_has_one_name_whatever_was_loaded(client: httpx.Client) -> None:
    told = client.get("/v1/models").json()
    assert told == {"data": [{"id": "sd-cpp-local", "object": "model", "owned_by": "local"}]}


def test_the_native_api_tells_the_file_of_the_model(client: httpx.Client, engine: Engine) -> None:
    told = client.get("/sdcpp/v1/capabilities").json()
    assert told["model"]["stem"] == "model"
    assert told["limits"] == {
        "min_width": 64,
        "max_width": 4096,
        "min_height": 64,
        "max_height": 4096,
        "max_batch_count": 8,
        "max_queue_size": 64,
    }
    assert told["output_formats"] == ["png", "jpeg", "webp"]
