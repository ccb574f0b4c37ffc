"""Reading a catalog: what is right is read, and every kind of wrong is refused with file, key and remedy."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from typing import Any

import pytest

from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import NoOptions
from safelight.domain.errors import ConfigurationError, InvalidParameter, NotFound
from safelight.domain.generations import GenerationType
from safelight.domain.money import MAX_NANOS
from safelight.domain.pricing import rate_for
from safelight.providers.registry import KINDS as REAL_KINDS
from tests.domain.catalogs import IMAGE, KINDS, VIDEO, Options, model_of, read

ABSENT = object()


def with_value(entry: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of the entry with one value replaced, or taken away."""
    copy: Any = deepcopy(entry)
    *parents, last = path.split("/")
    place = copy
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ABSENT:
        del place[last]
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return copy


def refusal(document: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_catalog(document, source="shop.toml", kinds=KINDS)
    return caught.value.message


def test_a_right_catalog_is_read() -> None:
    catalog = read(IMAGE, VIDEO)
    still, clip = catalog.models.values()
    assert [rate.unit_price_nanos for rate in still.rates] == [30_000_000, 50_000_000], "ordered by price"
    assert clip.sizes["1080p"]["16:9"] == (1920, 1080)
    assert [(b.connection, b.upstream_model, b.options) for b in clip.bindings] == [
        ("noop", "clip-1", NoOptions()),
        ("other", "theirs", Options(level=1)),
    ]


def test_a_model_may_have_a_deadline_of_its_own() -> None:
    assert model_of(IMAGE).deadline_seconds is None
    assert model_of({**VIDEO, "deadline_seconds": 172_800}).deadline_seconds == 172_800
    for wrong in (0, -1, 30 * 24 * 3600 + 1):
        said = refusal({"models": [{**VIDEO, "deadline_seconds": wrong}]})
        assert "models[0].deadline_seconds" in said and "use 1 to 2592000" in said
    assert "deadline_seconds" in refusal({"models": [{**VIDEO, "deadline_seconds": "2h"}]})


def test_times_are_kept_in_utc() -> None:
    local = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert model_of({**IMAGE, "created_at": local}).created_at == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert model_of({**IMAGE, "created_at": local}).created_at.tzinfo is UTC


WRONG = [
    # missing, unknown and of the wrong type
    *((IMAGE, key, ABSENT, key, "Correct") for key in ("id", "name", "type", "created_at", "rates", "bindings")),
    *((IMAGE, key, ABSENT, key, "Correct") for key in ("aspect_ratios", "resolutions", "sizes")),
    (IMAGE, "colour", "red", "colour", "Correct"),
    (IMAGE, "rates/0/price", "1", "price", "Correct"),
    (IMAGE, "rates/0/unit_price", 0.05, "models[0].rates[0].unit_price", "Correct"),
    (IMAGE, "bindings/0/model", 5, "models[0].bindings[0].model", "Correct"),
    (IMAGE, "type", "audio", "models[0].type", "Correct"),
    (IMAGE, "created_at", "yesterday", "models[0].created_at", "Correct"),
    (IMAGE, "created_at", datetime(2026, 1, 1), "models[0].created_at", "2026-01-20T00:00:00Z"),  # noqa: DTZ001
    (IMAGE, "references", {"style_image": 1}, "references", "Correct"),
    (VIDEO, "durations", ["5"], "models[0].durations[0]", "Correct"),
    (VIDEO, "durations", [5.5], "models[0].durations[0]", "Correct"),
    (VIDEO, "supports_sound", "yes", "models[0].supports_sound", "Correct"),
    # names
    (IMAGE, "id", "", "models[0].id", "lower-case"),
    (IMAGE, "id", "Still", "models[0].id", "lower-case"),
    (IMAGE, "id", "a/b", "models[0].id", "lower-case"),
    (IMAGE, "id", "x" * 101, "models[0].id", "lower-case"),
    (IMAGE, "name", "  ", "models[0].name", "people"),
    (IMAGE, "aliases", [""], "models[0].aliases", "letters"),
    (IMAGE, "aliases", ["a b"], "models[0].aliases", "letters"),
    (IMAGE, "aliases", ["a", "a"], "models[0].aliases", "once"),
    (IMAGE, "openai", {"quality": {"good": "2K"}}, "models[0].openai.quality.good", "low"),
    (IMAGE, "openai", {"quality": {"low": "8K"}}, "models[0].openai.quality.low", "2K"),
    (IMAGE, "openai", {"size": {}}, "models[0].openai", "Correct"),
    # lists
    (IMAGE, "aspect_ratios", [], "models[0].aspect_ratios", "list each value once"),
    (IMAGE, "aspect_ratios", ["1:1", "1:1"], "models[0].aspect_ratios", "list each value once"),
    (IMAGE, "aspect_ratios", ["square"], "models[0].aspect_ratios", "16:9"),
    (IMAGE, "aspect_ratios", ["0:1"], "models[0].aspect_ratios", "16:9"),
    (IMAGE, "resolutions", [], "models[0].resolutions", "list each value once"),
    (IMAGE, "resolutions", ["2K", "2K"], "models[0].resolutions", "list each value once"),
    (IMAGE, "durations", [5], "models[0].durations", "remove"),
    (VIDEO, "durations", [], "models[0].durations", "1 to 600"),
    (VIDEO, "durations", [5, 5], "models[0].durations", "each once"),
    (VIDEO, "durations", [0], "models[0].durations", "1 to 600"),
    (VIDEO, "durations", [601], "models[0].durations", "1 to 600"),
    # references and sound
    (IMAGE, "references/reference_image", 0, "models[0].references.reference_image", "1 to 8"),
    (IMAGE, "references/reference_image", 9, "models[0].references.reference_image", "1 to 8"),
    (IMAGE, "references", {"first_frame": 1}, "models[0].references.first_frame", "remove"),
    (VIDEO, "references", {"last_frame": 2}, "models[0].references.last_frame", "1"),
    (IMAGE, "supports_sound", True, "models[0].supports_sound", "remove"),
    # sizes
    (IMAGE, "sizes/2K", ABSENT, 'models[0].sizes."2K"."1:1"', "1920x1080"),
    (IMAGE, "sizes/2K/16:9", ABSENT, 'models[0].sizes."2K"."16:9"', "1920x1080"),
    (IMAGE, "sizes/2K/16:9", "big", 'models[0].sizes."2K"."16:9"', "1920x1080"),
    (IMAGE, "sizes/2K/16:9", "0x100", 'models[0].sizes."2K"."16:9"', "1920x1080"),
    (IMAGE, "sizes/2K/16:9", "9000x100", 'models[0].sizes."2K"."16:9"', "8192"),
    (VIDEO, "sizes/720p/16:9", "1281x720", 'models[0].sizes."720p"."16:9"', "even"),
    (VIDEO, "sizes/720p/16:9", "1280x721", 'models[0].sizes."720p"."16:9"', "even"),
    # rates
    (IMAGE, "rates", [], "models[0].rates", "add a rate"),
    (IMAGE, "rates/0/unit_price", "-1", "models[0].rates[0].unit_price", "decimal string"),
    (IMAGE, "rates/0/unit_price", "1e-3", "models[0].rates[0].unit_price", "decimal string"),
    (IMAGE, "rates/0/unit_price", "0.0000001", "models[0].rates[0].unit_price", "6 decimals"),
    (IMAGE, "rates/0/unit_price", "1000000.01", "models[0].rates[0].unit_price", "1000000"),
    (IMAGE, "rates/0/resolution", "8K", "models[0].rates[0].resolution", "listed"),
    (IMAGE, "rates/0/sound", "sound_on", "models[0].rates[0].sound", "remove"),
    (VIDEO, "rates/0/sound", "loud", "models[0].rates[0].sound", "Correct"),
    (IMAGE, "rates/0/resolution", "1K", "models[0].rates", "keep one"),
    (IMAGE, "rates", [{"unit_price": "1", "resolution": "1K"}], "models[0].rates", "add a rate"),
    (VIDEO, "rates", [{"unit_price": "1", "sound": "sound_on"}], "models[0].rates", "sound_off"),
    # bindings
    (IMAGE, "bindings", [], "models[0].bindings", "at least one"),
    (IMAGE, "bindings/0/provider", "nobody", "models[0].bindings[0].provider", "noop, other"),
    (IMAGE, "bindings/0/options", ["a"], "models[0].bindings[0].options", "Correct"),
    # a backend's own words for sizes
    (IMAGE, "bindings/0/sizes", {"4K": {"1:1": "x"}}, 'models[0].bindings[0].sizes."4K"', "use one of: 2K, 1K"),
    (IMAGE, "bindings/0/sizes", {"2K": {"4:3": "x"}}, 'bindings[0].sizes."2K"."4:3"', "use one of: 1:1, 16:9"),
    (IMAGE, "bindings/0/sizes", {"2K": {"1:1": ""}}, 'bindings[0].sizes."2K"."1:1": it is empty', "own word"),
    (IMAGE, "bindings/0/sizes", {"2K": {"1:1": " "}}, 'bindings[0].sizes."2K"."1:1": it is empty', "own word"),
    (IMAGE, "bindings/0/sizes", {"2K": {"1:1": 5}}, "models[0].bindings[0].sizes", "Correct"),
    (IMAGE, "bindings/0/sizes", {"2K": "auto"}, "models[0].bindings[0].sizes", "Correct"),
    (IMAGE, "bindings/0/sizes", ["auto"], "models[0].bindings[0].sizes", "Correct"),
    (VIDEO, "bindings/1/sizes", {"4K": {}}, 'models[0].bindings[1].sizes."4K"', "use one of: 720p, 1080p"),
    # what a request may pass through
    (IMAGE, "bindings/0/provider_options", ["a", "b", "a"], "bindings[0].provider_options", "list each name once"),
    (IMAGE, "bindings/0/provider_options", [""], "models[0].bindings[0].provider_options", "list each name once"),
    (IMAGE, "bindings/0/provider_options", [5], "models[0].bindings[0].provider_options[0]", "Correct"),
    (IMAGE, "bindings/0/provider_options", "a", "models[0].bindings[0].provider_options", "Correct"),
    # what it costs
    (IMAGE, "bindings/0/cost", "free", "models[0].bindings[0].cost", "decimal string"),
    (IMAGE, "bindings/0/cost", "-0.01", "models[0].bindings[0].cost", "decimal string"),
    (IMAGE, "bindings/0/cost", "", "models[0].bindings[0].cost", "decimal string"),
    (IMAGE, "bindings/0/cost", 0.01, "models[0].bindings[0].cost", "Correct"),
    (IMAGE, "bindings/0/cost", "0.0000001", "models[0].bindings[0].cost", "6 decimals"),
    (IMAGE, "bindings/0/cost", "1000000.01", "models[0].bindings[0].cost", "1000000"),
    (IMAGE, "bindings/0/cost", {"8K": "0.01"}, 'models[0].bindings[0].cost."8K"', "use one of: 2K, 1K"),
    (IMAGE, "bindings/0/cost", {"2K": "x"}, 'models[0].bindings[0].cost."2K"', "decimal string"),
    (IMAGE, "bindings/0/cost", {"2K": 1}, "models[0].bindings[0].cost", "Correct"),
    # what it can be asked
    (IMAGE, "supports_seed", "yes", "models[0].supports_seed", "Correct"),
    (IMAGE, "supports_negative_prompt", 1, "models[0].supports_negative_prompt", "Correct"),
]


@pytest.mark.parametrize(("entry", "path", "value", "key", "remedy"), WRONG)
def test_a_wrong_value_is_refused(entry: dict[str, Any], path: str, value: object, key: str, remedy: str) -> None:
    message = refusal({"models": [with_value(entry, path, value)]})
    assert message.startswith("shop.toml: ")
    assert key in message
    assert remedy in message


def test_a_binding_has_words_for_sizes_and_costs_by_resolution() -> None:
    told = {"sizes": {"2K": {"1:1": "square_hd"}}, "cost": {"2K": "0.02"}}
    (binding,) = model_of(with_value(IMAGE, "bindings/0", {"connection": "noop", **told})).bindings
    assert [binding.size_word(*case) for case in (("2K", "1:1"), ("2K", "16:9"), ("1K", "1:1"))] == [
        "square_hd",
        None,
        None,
    ]
    assert (binding.cost_nanos("2K"), binding.cost_nanos("1K")) == (20_000_000, None)
    (binding,) = model_of(with_value(IMAGE, "bindings/0/cost", "0.000001")).bindings
    assert (binding.cost_nanos("2K"), binding.cost_nanos("1K")) == (1_000, 1_000)
    (binding,) = model_of(with_value(IMAGE, "bindings/0/cost", "0")).bindings
    assert binding.cost_nanos("2K") == 0, "that is a cost that is known"
    (binding,) = model_of(IMAGE).bindings
    assert (binding.cost_nanos("2K"), binding.provider_options) == (None, ())


def test_a_model_passes_on_what_each_of_its_bindings_takes() -> None:
    assert not model_of(IMAGE).supports_seed and not model_of(IMAGE).supports_negative_prompt
    first = {"connection": "noop", "provider_options": ["steps", "style", "tiles"]}
    second = {"connection": "other", "provider_options": ["tiles", "steps"]}
    for bindings, passed in (([first], ("steps", "style", "tiles")), ([first, second], ("steps", "tiles"))):
        assert model_of({**IMAGE, "bindings": bindings}).provider_options == passed
    assert model_of({**IMAGE, "bindings": [first, {"connection": "noop"}]}).provider_options == ()


def test_the_most_that_a_unit_may_cost_fits_an_account() -> None:
    dearest = with_value(with_value(VIDEO, "durations", [600]), "rates/1/unit_price", "1000000")
    rate = rate_for(model_of(dearest), resolution="720p", sound=False)
    assert rate.unit_price_nanos * 600 <= MAX_NANOS


def test_an_id_is_there_once() -> None:
    message = refusal({"models": [IMAGE, VIDEO, IMAGE]})
    assert "shop.toml: models[2].id" in message
    assert "'still-1' is there twice" in message


def test_a_name_stands_for_one_model() -> None:
    """An id goes before another model's alias: who binds a vendor's model under its own id has that."""
    still, clip = {**IMAGE, "aliases": ["gpt-image-1", "clip-1"]}, {**VIDEO, "aliases": ["sora-2"]}
    catalog = read(still, clip)
    names = ("still-1", "gpt-image-1", "clip-1", "sora-2", "absent")
    found = [catalog.by_any_name(name) for name in names]
    assert [model and model.id for model in found] == ["still-1", "still-1", "clip-1", "clip-1", None]
    assert catalog.models["still-1"].aliases == ("gpt-image-1",)
    assert "models[1].aliases: 'gpt-image-1' is 'still-1' already" in refusal(
        {"models": [still, {**clip, "aliases": ["gpt-image-1"]}]}
    )


def test_words_for_quality_are_resolutions() -> None:
    words = {"low": IMAGE["resolutions"][-1], "high": IMAGE["resolutions"][0]}
    assert model_of({**IMAGE, "openai": {"quality": words}}).qualities == words


@pytest.mark.parametrize("document", [{}, {"models": {}}, {"models": [5]}, {"models": [], "more": 1}, [], None, 5])
def test_a_document_of_another_shape_is_refused(document: object) -> None:
    assert refusal(document).startswith("shop.toml: ")


def test_an_empty_catalog_is_refused() -> None:
    assert "Declare at least one" in refusal({"models": []})


def test_a_model_is_found_or_named() -> None:
    catalog = read(IMAGE, VIDEO)
    assert catalog.find("still-1").id == "still-1"
    with pytest.raises(NotFound):
        catalog.find("absent")
    assert catalog.for_type("clip-1", GenerationType.VIDEO).id == "clip-1"
    for wrong in ("absent", "clip-1"):
        with pytest.raises(InvalidParameter, match="still-1") as caught:
            catalog.for_type(wrong, GenerationType.IMAGE)
        assert caught.value.param == "model"


def test_the_shipped_catalog_is_valid() -> None:
    text = resources.files("safelight").joinpath("catalog.toml").read_text()
    catalog = read_catalog(tomllib.loads(text), source="catalog.toml", kinds=REAL_KINDS)
    types = {model.type for model in catalog.models.values()}
    assert types == {GenerationType.IMAGE, GenerationType.VIDEO}
    for model in catalog.models.values():
        for resolution in model.resolutions:
            for sound in (True, False) if model.supports_sound else (None,):
                assert rate_for(model, resolution=resolution, sound=sound).unit_price_nanos > 0
