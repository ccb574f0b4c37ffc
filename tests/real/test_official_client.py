"""The official `openai` client against sd-server: what a client that keeps to the letter makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.real.engine import Engine
from tests.real.pictures import decode, png

FOX = ("fox.png", png((96, 64), (200, 80, 20)), "image/png")
SEA = ("sea.png", png((96, 64), (20, 40, 220)), "image/png")
MODEL = "sd-cpp-local"


@pytest.fixture
def official(engine: Engine) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{engine.base_url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_models(official: openai.OpenAI) -> None:
    assert [model.id for model in official.models.list()] == [MODEL]


def test_a_picture(official: openai.OpenAI) -> None:
    answer = official.images.generate(model=MODEL, prompt="a red fox", size="64x64", n=2, output_format="webp")
    assert [decode(image.b64_json or "").size for image in answer.data or []] == [(64, 64)] * 2
    assert (answer.output_format, answer.usage, answer.size) == ("webp", None, None)
    assert [(image.url, image.revised_prompt) for image in answer.data or []] == [(None, None)] * 2


def test_edits_of_one_picture_and_of_two(official: openai.OpenAI) -> None:
    one = official.images.edit(model=MODEL, prompt="a red fox", image=FOX)
    two = official.images.edit(model=MODEL, prompt="a red fox", image=[FOX, SEA])
    pictures = [decode((answer.data or [])[0].b64_json or "") for answer in (one, two)]
    assert [picture.size for picture in pictures] == [(96, 64)] * 2
    assert pictures[0].tobytes() != pictures[1].tobytes(), "the second had a part in it"


def test_the_words_of_a_refusal_are_lost_in_the_message(official: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        official.images.generate(model=MODEL, prompt="", size="64x64")
    refusal = caught.value
    assert (refusal.message, refusal.body) == ("Error code: 400", "prompt required")
    assert (refusal.code, refusal.type, refusal.request_id) == (None, None, None)


def test_wrong_input_looks_like_a_fault_of_the_server(official: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        official.images.generate(model=MODEL, prompt="x", extra_body={"size": None})
    assert caught.value.body == "server_error"
