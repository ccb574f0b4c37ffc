"""An order's parts in a model's own input: each where the map says, and none left out in silence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from safelight.domain.catalog import Binding, Model
from safelight.domain.connections import NoOptions
from safelight.domain.errors import ConfigurationError
from safelight.domain.field_map import Fields, check_fields, filled, frames_of
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.outcomes import Failed, FailureClass
from safelight.domain.request import Order
from tests.support.jobs import an_order

VIDEO = GenerationType.VIDEO
BINDING = Binding(connection="c", upstream_model="m", options=NoOptions())


def fill(order: Order, word: str | None = None, fixed: dict[str, Any] | None = None, **fields: Any) -> Any:
    urls = [f"https://pictures.example/{at}" for at in range(len(order.references))]
    return filled(msgspec.convert(fields, Fields), order, word, fixed=fixed or {}, urls=urls)


def a_model(**facts: Any) -> Model:
    usual: dict[str, Any] = {
        "id": "m",
        "name": "M",
        "type": GenerationType.IMAGE,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "aspect_ratios": ("1:1",),
        "resolutions": ("1K",),
        "durations": (),
        "references": {},
        "supports_sound": False,
        "sizes": {"1K": {"1:1": (64, 64)}},
        "rates": (),
        "bindings": (BINDING,),
    }
    return Model(**(usual | facts))


def pictures(*roles: ReferenceRole) -> tuple[Reference, ...]:
    return tuple(Reference(role=role, mime_type="image/png", data=b"") for role in roles)


def test_a_picture_goes_where_the_map_says() -> None:
    order = an_order(seed=7, negative_prompt="fog", provider_options={"steps": 4})
    body = fill(
        order,
        fixed={"guidance": 3, "steps": 9, "seed": 1},
        negative_prompt="neg",
        seed="seed",
        width="image_size.width",
        height="image_size.height",
        output_format="format",
    )
    assert body == {
        "prompt": "a hill",
        "neg": "fog",
        "seed": 7,
        "image_size": {"width": 64, "height": 64},
        "format": "png",
        "guidance": 3,
        "steps": 4,
    }


@pytest.mark.parametrize(
    ("word", "fields", "size"),
    [
        (None, {"size": "s"}, {"s": "64x64"}),
        ("square_hd", {"size": "s"}, {"s": "square_hd"}),
        (None, {"aspect_ratio": "a", "resolution": "r"}, {"a": "1:1", "r": "1K"}),
        ("720p", {"aspect_ratio": "a", "resolution": "r"}, {"a": "1:1", "r": "720p"}),
        ("wide", {"size": "s", "resolution": "r"}, {"s": "wide", "r": "1K"}),
        (None, {}, {}),
    ],
)
def test_a_size_is_said_in_the_words_of_the_map(word: str | None, fields: dict[str, str], size: dict[str, str]) -> None:
    assert fill(an_order(), word, **fields) == {"prompt": "a hill", **size}


@pytest.mark.parametrize(("as_", "said"), [("number", 2), ("text", "2"), ("seconds", "2s")])
def test_a_clip_has_its_seconds_frames_and_sound(as_: str, said: Any) -> None:
    fields = {"duration": "d", "duration_as": as_, "frames": "f", "fps": 16, "frames_step": 4, "sound": "audio"}
    for sound in (True, False):
        body = fill(an_order(VIDEO, sound=sound), **fields)
        assert body == {"prompt": "a hill", "d": said, "f": 33, "audio": sound}, "silence is said, too"
    assert fill(an_order(VIDEO, sound=None), **fields)["audio"] is False, "a switch that is not told is on"
    assert fill(an_order(VIDEO, sound=None), fixed={"audio": True}, **fields)["audio"] is True
    assert "audio" not in fill(an_order(), **fields), "a picture has none"


def test_references_go_by_their_roles() -> None:
    every = {"references": "many", "reference": "one", "first_frame": "first", "last_frame": "last"}
    both = an_order(VIDEO, references=pictures("last_frame", "first_frame"))
    assert fill(both, **every) == {
        "prompt": "a hill",
        "last": "https://pictures.example/0",
        "first": "https://pictures.example/1",
    }
    two = an_order(references=pictures("reference_image", "reference_image"))
    assert fill(two, **every)["many"] == ["https://pictures.example/0", "https://pictures.example/1"]
    one = an_order(references=pictures("reference_image"))
    assert fill(one, **every)["many"] == ["https://pictures.example/0"]
    assert fill(one, reference="one")["one"] == "https://pictures.example/0"


@pytest.mark.parametrize(
    ("order", "fields", "reason", "named"),
    [
        (an_order(seed=1), {}, FailureClass.PERMANENT, "fields.seed"),
        (an_order(negative_prompt="fog"), {}, FailureClass.PERMANENT, "fields.negative_prompt"),
        (an_order(VIDEO, sound=False), {}, FailureClass.PERMANENT, "fields.sound"),
        (an_order(references=pictures("reference_image")), {}, FailureClass.PERMANENT, "fields.reference:"),
        (
            an_order(references=pictures("reference_image", "reference_image")),
            {"reference": "one"},
            FailureClass.PERMANENT,
            "fields.references",
        ),
        (an_order(VIDEO, references=pictures("last_frame")), {}, FailureClass.PERMANENT, "fields.last_frame"),
        (
            an_order(VIDEO, references=pictures("first_frame", "reference_image")),
            {"first_frame": "image", "references": "image"},
            FailureClass.PERMANENT,
            "fields.first_frame",
        ),
        (an_order(provider_options={"prompt": "x"}), {}, FailureClass.BAD_INPUT, "prompt"),
        (
            an_order(provider_options={"image_size": {}}),
            {"width": "image_size.width", "height": "image_size.height"},
            FailureClass.BAD_INPUT,
            "image_size",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(order: Order, fields: dict[str, str], reason: FailureClass, named: str) -> None:
    outcome = fill(order, **fields)
    assert isinstance(outcome, Failed) and outcome.reason is reason and named in outcome.detail


def test_what_is_fixed_stays_as_it_was() -> None:
    fixed = {"image_size": {"width": 1, "unit": "px"}}
    body = fill(an_order(), fixed=fixed, width="image_size.width", height="image_size.height")
    assert body["image_size"] == {"width": 64, "height": 64, "unit": "px"}
    assert fixed == {"image_size": {"width": 1, "unit": "px"}}


@pytest.mark.parametrize(
    ("facts", "fields", "named"),
    [
        ({"supports_seed": True}, {}, "fields.seed"),
        ({"supports_negative_prompt": True}, {}, "fields.negative_prompt"),
        ({"supports_sound": True, "type": VIDEO}, {}, "fields.sound"),
        ({"type": VIDEO, "durations": (2, 4)}, {}, "fields.duration"),
        ({"aspect_ratios": ("1:1", "16:9")}, {"resolution": "r"}, "fields.size"),
        ({"resolutions": ("1K", "2K")}, {"aspect_ratio": "a"}, "fields.size"),
        ({}, {"width": "w"}, "fields.height"),
        ({}, {"size": "image_size", "width": "image_size.width", "height": "h"}, "fields.size"),
        ({"references": {"reference_image": 2}}, {"reference": "one"}, "fields.references"),
        ({"references": {"last_frame": 1}}, {"first_frame": "f"}, "fields.last_frame"),
    ],
)
def test_a_promise_that_has_no_place_is_found_before_an_order(
    facts: dict[str, Any], fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_fields(msgspec.convert(fields, Fields), a_model(**facts), BINDING)
    assert str(raised.value).startswith(named)


def test_words_of_a_binding_need_a_place() -> None:
    binding = msgspec.structs.replace(BINDING, sizes={"1K": {"1:1": "a", "16:9": "b"}})
    model = a_model(aspect_ratios=("1:1", "16:9"))
    with pytest.raises(ConfigurationError):
        check_fields(Fields(aspect_ratio="a"), model, binding)
    check_fields(Fields(aspect_ratio="a", resolution="r"), model, binding)


def test_a_map_that_has_all_is_good() -> None:
    fields = Fields(
        negative_prompt="n",
        seed="s",
        size="z",
        duration="d",
        sound="a",
        references="r",
        first_frame="f",
        last_frame="l",
    )
    model = a_model(
        type=VIDEO,
        durations=(2, 4),
        supports_sound=True,
        supports_seed=True,
        supports_negative_prompt=True,
        aspect_ratios=("1:1", "16:9"),
        resolutions=("1K", "2K"),
        references={"reference_image": 3, "first_frame": 1, "last_frame": 1},
    )
    check_fields(fields, model, BINDING)
    check_fields(Fields(frames="f"), a_model(type=VIDEO, durations=(2, 4)), BINDING)


@pytest.mark.parametrize("place", ["", ".a", "a.", "a..b", "a b"])
def test_a_place_is_a_key_or_keys_with_dots(place: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"seed": place}, Fields)


@pytest.mark.parametrize(
    ("seconds", "fps", "step", "frames"), [(5, 16, 4, 81), (2, 24, 1, 48), (1, 23.976, 1, 24), (3, 10, 8, 33)]
)
def test_frames_last_the_seconds_at_least(seconds: int, fps: float, step: int, frames: int) -> None:
    assert frames_of(seconds, fps, step) == frames
