"""Which rate applies, and that what is charged is unit price times quantity to the last digit."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.catalog import BillableUnit, Model, Rate, RateSound
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.money import as_decimal
from safelight.domain.pricing import Price, charge_for, price_of, rate_for


def model_with(*rates: tuple[str | None, RateSound, int]) -> Model:
    return Model(
        id="clip",
        name="Clip",
        type=GenerationType.VIDEO,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        aspect_ratios=("16:9",),
        resolutions=("720p", "1080p"),
        durations=(5,),
        references={},
        supports_sound=True,
        sizes={"720p": {"16:9": (1280, 720)}, "1080p": {"16:9": (1920, 1080)}},
        rates=tuple(
            Rate(billable_unit="video_second", unit_price_nanos=price, resolution=resolution, sound=sound)
            for resolution, sound, price in rates
        ),
        bindings=(),
    )


ALL = (
    (None, "not_applicable", 1_000),
    (None, "sound_on", 2_000),
    ("720p", "not_applicable", 3_000),
    ("720p", "sound_on", 4_000),
)


@pytest.mark.parametrize(
    ("resolution", "sound", "nanos"),
    [
        ("720p", True, 4_000),  # its own resolution and its own sound
        ("720p", False, 3_000),  # its own resolution before the sound
        ("1080p", True, 2_000),  # any resolution, its own sound
        ("1080p", False, 1_000),  # the fallback
        ("1080p", None, 1_000),
        ("720p", None, 3_000),
    ],
)
def test_the_most_exact_rate_applies(resolution: str, sound: bool | None, nanos: int) -> None:
    assert rate_for(model_with(*ALL), resolution=resolution, sound=sound).unit_price_nanos == nanos


def test_the_order_of_the_rates_does_not_matter() -> None:
    for resolution in ("720p", "1080p"):
        for sound in (True, False, None):
            forward = rate_for(model_with(*ALL), resolution=resolution, sound=sound)
            assert forward == rate_for(model_with(*reversed(ALL)), resolution=resolution, sound=sound)


def test_a_case_without_a_rate_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"clip.*1080p.*sound_off"):
        rate_for(model_with(("720p", "not_applicable", 1_000)), resolution="1080p", sound=False)


@given(
    st.integers(min_value=0, max_value=10**9).map(lambda micros: micros * 1000),
    st.integers(min_value=1, max_value=600),
)
def test_a_price_is_unit_price_times_quantity(unit_price_nanos: int, quantity: int) -> None:
    price = price_of(
        model_with((None, "not_applicable", unit_price_nanos)), resolution="720p", sound=None, quantity=quantity
    )
    assert price.total_nanos == unit_price_nanos * quantity
    assert as_decimal(price.unit_price_nanos) * quantity == as_decimal(price.total_nanos)


@given(
    st.sampled_from(("image", "video_second")),
    st.integers(min_value=0, max_value=10**9).map(lambda micros: micros * 1000),
    st.integers(min_value=1, max_value=600),
    st.integers(min_value=0, max_value=1_200_000),
)
def test_what_is_charged_is_exact_and_never_above_the_hold(
    unit: BillableUnit, unit_price_nanos: int, quantity: int, delivered_thousandths: int
) -> None:
    price = Price(billable_unit=unit, unit_price_nanos=unit_price_nanos, quantity=quantity)
    nanos, thousandths = charge_for(price, delivered_thousandths)
    assert as_decimal(nanos) == as_decimal(unit_price_nanos) * Decimal(thousandths) / 1000
    assert 0 <= nanos <= price.total_nanos
    assert thousandths == min(delivered_thousandths, quantity * 1000)


def test_full_delivery_costs_the_full_price() -> None:
    price = Price(billable_unit="video_second", unit_price_nanos=333_333_000, quantity=7)
    assert charge_for(price, 7000) == (price.total_nanos, 7000)
    assert charge_for(price, 9999) == (price.total_nanos, 7000)
    assert charge_for(price, 3200) == (1_066_665_600, 3200)
    assert charge_for(price, 0) == (0, 0)


def test_the_own_resolution_comes_before_the_own_sound() -> None:
    """Of two rates that each fit in part."""
    model = model_with((None, "sound_on", 2_000), ("720p", "not_applicable", 3_000))
    assert rate_for(model, resolution="720p", sound=True).unit_price_nanos == 3_000
    assert rate_for(model, resolution="1080p", sound=True).unit_price_nanos == 2_000
