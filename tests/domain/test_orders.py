"""A request against its model: defaults filled in, and every refusal names the parameter and what would work."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.errors import InvalidParameter, ParameterMissing
from safelight.domain.generations import GenerationType
from safelight.domain.request import ImageInput, Request, resolve
from tests.domain.catalogs import IMAGE, VIDEO, model_of

STILL = model_of(IMAGE)
CLIP = model_of(VIDEO)
SILENT = model_of({**VIDEO, "supports_sound": False, "rates": [{"unit_price": "0.1"}]})


def image(**values: Any) -> Request:
    return Request(type=GenerationType.IMAGE, model=STILL.id, **{"prompt": "a hill", **values})


def video(**values: Any) -> Request:
    return Request(type=GenerationType.VIDEO, model=CLIP.id, **{"prompt": "a hill", **values})


def inputs(*roles: str | None) -> tuple[ImageInput, ...]:
    return tuple(ImageInput(url="https://example.com/a.png", role=role) for role in roles)


def test_an_image_takes_the_first_of_each_list() -> None:
    spec = resolve(image(), STILL)
    assert (spec.aspect_ratio, spec.resolution, spec.output_format) == ("1:1", "2K", "jpeg")
    assert (spec.width, spec.height) == (2048, 2048)
    assert (spec.duration_seconds, spec.sound) == (None, None)


def test_a_video_takes_the_first_of_each_list() -> None:
    spec = resolve(video(), CLIP)
    assert (spec.aspect_ratio, spec.resolution, spec.duration_seconds) == ("16:9", "720p", 5)
    assert (spec.width, spec.height, spec.output_format) == (1280, 720, None)
    assert spec.sound is False


def test_sound_is_not_there_to_be_switched_where_the_model_has_none() -> None:
    assert resolve(video(), SILENT).sound is None
    assert resolve(video(sound=False), SILENT).sound is None


@given(st.data())
def test_every_listed_value_is_taken(data: st.DataObject) -> None:
    ratio = data.draw(st.sampled_from(CLIP.aspect_ratios))
    resolution = data.draw(st.sampled_from(CLIP.resolutions))
    duration = data.draw(st.sampled_from(CLIP.durations))
    spec = resolve(video(aspect_ratio=ratio, resolution=resolution, duration=duration, sound=True), CLIP)
    assert (spec.width, spec.height) == CLIP.sizes[resolution][ratio]
    assert (spec.duration_seconds, spec.sound) == (duration, True)


@pytest.mark.parametrize(
    ("values", "param", "remedy"),
    [
        ({"aspect_ratio": "2:1"}, "aspect_ratio", "16:9, 1:1"),
        ({"aspect_ratio": ""}, "aspect_ratio", "16:9, 1:1"),
        ({"resolution": "8K"}, "resolution", "720p, 1080p"),
        ({"duration": 6}, "duration", "5, 10"),
        ({"duration": 0}, "duration", "5, 10"),
        ({"duration": -5}, "duration", "5, 10"),
        ({"prompt": ""}, "prompt", "1 to 4096"),
        ({"prompt": "x" * 4097}, "prompt", "1 to 4096"),
        ({"prompt": "a\0b"}, "prompt", "NUL"),
        ({"images": inputs("last_frame")}, "images[0].role", "first_frame (up to 1)"),
        ({"images": inputs("first_frame", "first_frame")}, "images", "at most 1"),
        ({"images": inputs(*["reference_image"] * 4)}, "images", "at most 3"),
    ],
)
def test_a_wrong_value_is_refused(values: dict[str, Any], param: str, remedy: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        resolve(video(**values), CLIP)
    assert caught.value.param == param
    assert remedy in caught.value.message


def test_sound_of_a_silent_model_is_refused() -> None:
    with pytest.raises(InvalidParameter) as caught:
        resolve(video(sound=True), SILENT)
    assert caught.value.param == "sound"


def test_a_video_needs_roles_and_an_image_does_not() -> None:
    with pytest.raises(ParameterMissing) as caught:
        resolve(video(images=inputs("first_frame", None)), CLIP)
    assert caught.value.param == "images[1].role"
    resolve(image(images=inputs(None, "reference_image")), STILL)


def test_the_prompt_is_measured_in_characters() -> None:
    assert resolve(image(prompt="\U0001f308" * 4096), STILL).prompt == "\U0001f308" * 4096
