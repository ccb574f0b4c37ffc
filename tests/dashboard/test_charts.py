"""Bars stand on each other within their box, as high as what they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.dashboard.spend.charts import stack


@given(
    st.integers(1, 7).flatmap(
        lambda series: st.lists(
            st.lists(st.integers(0, 10**15), min_size=series, max_size=series), min_size=1, max_size=30
        )
    )
)
def test_bars_are_as_high_as_their_values(values: list[list[int]]) -> None:
    chart = stack(values, [str(place) for place in range(len(values))])
    highest = max(map(sum, values))
    assert max(highest, 1) <= chart.top <= max(2 * highest, 1)
    bars = iter(chart.bars)
    for place, of_day in enumerate(values):
        ground = 1000.0
        for series, value in enumerate(of_day):
            if value == 0:
                continue
            bar = next(bars)
            assert (bar.series, bar.title) == (series, str(place))
            assert bar.height == pytest.approx(1000 * value / chart.top, abs=0.01)
            assert bar.y + bar.height == pytest.approx(ground, abs=0.02)
            assert place * 1000 / len(values) <= bar.x
            assert bar.x + bar.width <= (place + 1) * 1000 / len(values) + 0.02
            ground = bar.y
        assert ground >= 0
    assert next(bars, None) is None


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (7, 8), (10, 10), (11, 15), (240, 250), (1001, 1500)])
def test_the_top_is_round(value: int, top: int) -> None:
    assert stack([[value]], [""]).top == top
