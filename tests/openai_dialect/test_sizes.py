"""From a size in pixels to what a model lists, and never to a price that the size does not ask for."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from safelight.api.openai.sizes import chosen, size_in_catalog
from safelight.domain.catalog import Model
from safelight.domain.errors import InvalidParameter
from safelight.domain.pricing import rate_for
from tests.openai_dialect.catalogs import catalog_here, shipped_catalog

MODELS = [*catalog_here().models.values(), *shipped_catalog().models.values()]
SEEDREAM = shipped_catalog().models["seedream-4-5"]
sides = st.integers(1, 99999)
models = st.sampled_from(MODELS)


def nearest(model: Model, size: str) -> tuple[str, str]:
    resolution, ratio = size_in_catalog(model, size, is_exact=False)
    assert resolution is not None
    assert ratio is not None
    return resolution, ratio


def area(model: Model, resolution: str, ratio: str) -> int:
    width, height = model.sizes[resolution][ratio]
    return width * height


@pytest.mark.parametrize(
    ("model", "size", "resolution", "ratio"),
    [
        # 4K's own pixels for 3:2 are nearer to 1536:1024 than those of 2K, at twice the price.
        ("seedream-4-5", "1536x1024", "2K", "3:2"),
        ("seedream-4-5", "1024x1536", "2K", "2:3"),
        ("seedream-4-5", "1024x1024", "2K", "1:1"),
        ("seedream-5-lite", "1024x1024", "1K", "1:1"),
        ("seedream-5-lite", "512x512", "1K", "1:1"),
        ("seedream-5-lite", "1792x1024", "1K", "16:9"),
        ("seedream-5-lite", "3840x2160", "2K", "16:9"),
        ("seedream-5-lite", "5120x2880", "4K", "16:9"),
        ("z-image-turbo", "1024x1792", "1K", "9:16"),
        ("seedream-5-lite", "99999x1", "1K", "21:9"),
    ],
)
def test_sizes_that_clients_send_to_what_ships(model: str, size: str, resolution: str, ratio: str) -> None:
    assert nearest(shipped_catalog().models[model], size) == (resolution, ratio)


def test_the_trap_is_there_to_be_fallen_into() -> None:
    """By pixels alone it would be 4K at twice the price: else the test above shows nothing."""
    pixels = {
        (resolution, ratio): width / height
        for resolution, ratios in SEEDREAM.sizes.items()
        for ratio, (width, height) in ratios.items()
    }
    assert min(pixels, key=lambda name: abs(math.log(pixels[name] / 1.5))) == ("4K", "3:2")


@given(models, sides, sides)
def test_no_other_ratio_is_nearer_and_no_other_area(model: Model, width: int, height: int) -> None:
    resolution, ratio = nearest(model, f"{width}x{height}")

    def off(name: str) -> float:
        one, other = map(int, name.split(":"))
        return abs(math.log(width / height) - math.log(one / other))

    listed = any(size == (width, height) for ratios in model.sizes.values() for size in ratios.values())
    if listed:
        assert model.sizes[resolution][ratio] == (width, height)
        return
    assert off(ratio) <= min(map(off, model.aspect_ratios)) + 1e-9
    apart = {each: abs(math.log(width * height / area(model, each, ratio))) for each in model.resolutions}
    assert apart[resolution] <= min(apart.values()) + 1e-9


@given(models, sides, sides)
def test_a_dearer_one_is_never_made_where_one_large_enough_is_cheaper(model: Model, width: int, height: int) -> None:
    """There is no resolution at least as large as was asked for that is smaller than what is made."""
    resolution, ratio = nearest(model, f"{width}x{height}")
    made = area(model, resolution, ratio)
    between = [each for each in model.resolutions if width * height <= area(model, each, ratio) < made]
    assert between == []


@given(models, sides, sides, st.integers(2, 8))
def test_a_smaller_size_never_costs_more(model: Model, width: int, height: int, times: int) -> None:
    """The price of images grows with their size in both catalogs; then it does so with the size that is asked for."""
    assume(not model.supports_sound)
    prices = [
        rate_for(model, resolution=each, sound=None).unit_price_nanos
        for each in sorted(model.resolutions, key=lambda name: area(model, name, model.aspect_ratios[0]))
    ]
    assume(prices == sorted(prices) and width * times <= 99999 and height * times <= 99999)

    def price(size: str) -> int:
        return rate_for(model, resolution=nearest(model, size)[0], sound=None).unit_price_nanos

    assert price(f"{width}x{height}") <= price(f"{width * times}x{height * times}")


@given(models)
def test_each_size_of_the_catalog_is_itself(model: Model) -> None:
    for resolution in model.resolutions:
        for ratio in model.aspect_ratios:
            width, height = model.sizes[resolution][ratio]
            for is_exact in (False, True):
                found = size_in_catalog(model, f"{width}x{height}", is_exact=is_exact)
                assert model.sizes[found[0] or ""][found[1] or ""] == (width, height)


def test_of_two_areas_as_near_the_smaller_is_made() -> None:
    sizes = {"4K": {"1:1": (4000, 4000)}, "2K": {"1:1": (1000, 1000)}}
    model = msgspec.structs.replace(SEEDREAM, aspect_ratios=("1:1",), resolutions=("4K", "2K"), sizes=sizes)
    # Four times the one, and a quarter of the other.
    assert nearest(model, "2000x2000")[0] == "2K"
    assert nearest(model, "2001x2000")[0] == "4K"


@pytest.mark.parametrize(
    "size",
    [
        "",
        "0x0",
        "1024",
        "1024x",
        "x1024",
        "1024 x 1024",
        "1024X1024",
        "-1x1",
        "01x1",
        "1e3x1e3",
        "100000x1",
        "1x1x1",
        "big",
    ],
)
def test_what_is_no_size_is_refused(size: str) -> None:
    for is_exact in (False, True):
        with pytest.raises(InvalidParameter, match="2048x2048") as raised:
            size_in_catalog(SEEDREAM, size, is_exact=is_exact)
        assert raised.value.param == "size"


def test_exact_takes_only_what_is_listed() -> None:
    with pytest.raises(InvalidParameter, match=r"'1536x1024' is not supported .* one of: 2048x2048, 2736x1536"):
        size_in_catalog(SEEDREAM, "1536x1024", is_exact=True)
    assert size_in_catalog(SEEDREAM, "auto", is_exact=True) == (None, None)
    assert size_in_catalog(SEEDREAM, None, is_exact=True) == (None, None)


def test_a_quality_decides_the_resolution_and_the_size_the_ratio() -> None:
    still = catalog_here().models["still"]
    assert chosen(still, is_exact=False, size="512x768", quality="high") == ("2K", "2:3")
    assert chosen(still, is_exact=False, size="512x768", quality="low") == ("1K", "2:3")
    assert chosen(still, is_exact=False, size=None, quality="high") == ("2K", None)
    assert chosen(still, is_exact=False, size=None, quality="high", resolution="2K") == ("2K", None)
    with pytest.raises(InvalidParameter, match="2512x1680") as listed:
        chosen(still, is_exact=True, size="1024x1024", quality="high")
    assert "1248x832" not in listed.value.message, "only sizes of that resolution would work"


@pytest.mark.parametrize(
    ("given_", "param"),
    [
        ({"size": "1024x1024", "resolution": "1K"}, "size"),
        ({"size": "1024x1024", "aspect_ratio": "1:1"}, "size"),
        ({"size": "auto", "resolution": "1K", "quality": "hd"}, "quality"),
    ],
)
def test_the_same_thing_is_not_said_twice(given_: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        chosen(catalog_here().models["still"], is_exact=False, **{"size": None, **given_})
    assert raised.value.param == param
