"""Which rate applies to an order, and what it costs. All sums are integer nano-dollars."""

from __future__ import annotations

import msgspec

from safelight.domain.catalog import BillableUnit, Binding, Model, Rate
from safelight.domain.errors import ConfigurationError
from safelight.domain.money import NANOS_PER_USD
from safelight.domain.outcomes import Answer

THOUSANDTHS = 1000
_MOST_COST_NANOS = 1_000_000 * NANOS_PER_USD  # so that many of them fit a sum


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen price: ``quantity`` units (images, or seconds of video) at ``unit_price_nanos`` each."""

    billable_unit: BillableUnit
    unit_price_nanos: int
    quantity: int

    @property
    def total_nanos(self) -> int:
        return self.unit_price_nanos * self.quantity


def rate_for(model: Model, *, resolution: str, sound: bool | None) -> Rate:
    """The most exact rate: the own resolution before any, the own sound before the fallback."""
    wanted = {True: "sound_on", False: "sound_off", None: "not_applicable"}[sound]
    cases = ((r, s) for r in (resolution, None) for s in (wanted, "not_applicable"))
    for case in cases:
        for rate in model.rates:
            if (rate.resolution, rate.sound) == case:
                return rate
    raise ConfigurationError(f"No rate of {model.id} covers {resolution}, {wanted}.")


def price_of(model: Model, *, resolution: str, sound: bool | None, quantity: int) -> Price:
    rate = rate_for(model, resolution=resolution, sound=sound)
    return Price(billable_unit=rate.billable_unit, unit_price_nanos=rate.unit_price_nanos, quantity=quantity)


class UnitMargin(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit is charged and, where the catalog states it, what it costs. ``sound`` None: the model has none."""

    resolution: str
    sound: bool | None
    price_nanos: int
    cost_nanos: int | None

    @property
    def margin_nanos(self) -> int | None:
        return None if self.cost_nanos is None else self.price_nanos - self.cost_nanos


def unit_margins(model: Model, binding: Binding) -> list[UnitMargin]:
    """Of each case that the model has a rate for, in the order of its resolutions."""
    return [
        UnitMargin(
            resolution=resolution,
            sound=sound,
            price_nanos=rate_for(model, resolution=resolution, sound=sound).unit_price_nanos,
            cost_nanos=binding.cost_nanos(resolution),
        )
        for resolution in model.resolutions
        for sound in ((False, True) if model.supports_sound else (None,))
    ]


def charge_for(price: Price, delivered_thousandths: int) -> tuple[int, int]:
    """(nano-dollars, thousandths of a unit) to charge for what was delivered, never above what was held.

    ``delivered_thousandths`` is the measured quantity: 3.2 s is 3200, one image 1000. A clip shorter than ordered
    is charged for what it is; a longer one for what was ordered. Exact, as unit prices are whole micro-dollars.
    """
    charged = min(delivered_thousandths, price.quantity * THOUSANDTHS)
    return price.unit_price_nanos * charged // THOUSANDTHS, charged


def cost_of(binding: Binding, answer: Answer, resolution: str, thousandths: int) -> int | None:
    """Nano-dollars that so much of a unit costs us: as the backend says, or as the catalog does; None: neither does.

    What a backend says that no order can cost is no word of it.
    """
    if answer.cost_nanos is not None and 0 <= answer.cost_nanos <= _MOST_COST_NANOS:
        return answer.cost_nanos
    unit_nanos = binding.cost_nanos(resolution)
    return None if unit_nanos is None else unit_nanos * thousandths // THOUSANDTHS
