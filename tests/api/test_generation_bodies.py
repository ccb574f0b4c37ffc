"""A body becomes a request by its fields' names, so a field is declared once on each side and nowhere between."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight.api.bodies import parse_body
from safelight.api.getimg.wire import GenerationBody, ImageGenerationBody, VideoGenerationBody
from safelight.domain.generations import GenerationType
from safelight.domain.request import ImageInput, Request

ASKED: dict[str, Any] = {"model": "m", "prompt": "p"}
BODIES = pytest.mark.parametrize("into", [ImageGenerationBody, VideoGenerationBody])


@BODIES
def test_every_field_of_a_body_is_one_of_a_request(into: type[GenerationBody]) -> None:
    """Conversion would pass over a name that a request does not have."""
    assert set(into.__struct_fields__) < set(Request.__struct_fields__)


@BODIES
def test_what_is_not_sent_is_not_given(into: type[GenerationBody]) -> None:
    request = parse_body(msgspec.json.encode(ASKED), into).request()
    filled = {"output_format": "jpeg"} if into is ImageGenerationBody else {"sound": False}
    assert request == Request(type=into.type, model="m", prompt="p", **filled)  # type: ignore[arg-type]


def test_what_is_sent_arrives() -> None:
    shared = {**ASKED, "aspect_ratio": "1:1", "resolution": "1K", "retention_seconds": 60, "store": False}
    shared["webhook_url"] = "https://hooks.example"
    image = {**shared, "output_format": "png", "images": [{"url": "a"}, {"url": "b", "role": "reference_image"}]}
    video = {**shared, "duration": 5, "sound": True, "images": [{"url": "a", "role": "first_frame"}]}
    assert parse_body(msgspec.json.encode(image), ImageGenerationBody).request() == Request(
        type=GenerationType.IMAGE,
        **{**image, "images": (ImageInput(url="a"), ImageInput(url="b", role="reference_image"))},
    )
    assert parse_body(msgspec.json.encode(video), VideoGenerationBody).request() == Request(
        type=GenerationType.VIDEO, **{**video, "images": (ImageInput(url="a", role="first_frame"),)}
    )
