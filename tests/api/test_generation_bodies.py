"""A body becomes a request by its fields' names, so a field is declared once on each side and nowhere between."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import msgspec
import pytest

from safelight import api
from safelight.api.bodies import parse_body
from safelight.api.getimg.requests import GenerationBody, ImageGenerationBody, VideoGenerationBody
from safelight.domain.generations import GenerationType
from safelight.domain.request import ImageInput, Request

ASKED: dict[str, Any] = {"model": "m", "prompt": "p"}
BODIES = pytest.mark.parametrize("into", [ImageGenerationBody, VideoGenerationBody])


@BODIES
def test_every_field_of_a_body_is_one_of_a_request(into: type[GenerationBody]) -> None:
    """Conversion would pass over a name that a request does not have."""
    assert set(into.__struct_fields__) < set(Request.__struct_fields__)


@BODIES
def test_what_is_not_sent_or_null_is_not_given(into: type[GenerationBody]) -> None:
    nulls = {name: None for name in into.__struct_fields__ if name not in ASKED}
    for body in (ASKED, ASKED | nulls):
        request = parse_body(msgspec.json.encode(body), into).request()
        assert request == Request(type=into.type, model="m", prompt="p")


def bodies_of_requests() -> list[type[msgspec.Struct]]:
    """Every struct that a request's body may hold: those of the dialects' modules that refuse what they do not know."""
    modules = [importlib.import_module(module.name) for module in pkgutil.walk_packages(api.__path__, "safelight.api.")]
    structs = [item for module in modules for item in vars(module).values() if isinstance(item, type)]
    return [
        item
        for item in dict.fromkeys(structs)
        if issubclass(item, msgspec.Struct) and item.__struct_config__.forbid_unknown_fields
    ]


@pytest.mark.parametrize("into", bodies_of_requests(), ids=lambda into: into.__name__)
def test_what_need_not_be_given_may_be_null(into: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(into):
        if not field.required:
            assert msgspec.convert(None, field.type) is None, field.name


def test_a_reference_whose_role_is_null() -> None:
    body = {**ASKED, "images": [{"url": "a", "role": None}]}
    assert parse_body(msgspec.json.encode(body), ImageGenerationBody).request().images == (ImageInput(url="a"),)


@pytest.mark.parametrize("written", ["4.0", "4e0", "40e-1", "4.000", "0.4E+1"])
def test_a_whole_number_is_known_however_it_is_written(written: str) -> None:
    """As by JSON Schema (validation, section 6.1.1), in which the calls are described."""
    raw = f'{{"model": "m", "prompt": "p", "duration": {written}}}'.encode()
    assert parse_body(raw, VideoGenerationBody).request().duration == 4


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff\ufeff"])
def test_a_byte_order_mark_is_passed_over(mark: str) -> None:
    raw = mark.encode() + msgspec.json.encode(ASKED)
    assert parse_body(raw, ImageGenerationBody).prompt == "p"


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
