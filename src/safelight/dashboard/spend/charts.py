"""Charts of days as SVG: bars in a box of 1000 by 1000 units, which the page stretches; words are HTML beside it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_SIDE = 1000
_GAP = 0.2  # of the width of a day
_TOPS = (10, 15, 20, 25, 30, 40, 50, 60, 80, 100)


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle of one series, in units of the box; ``title`` tells what it stands for."""

    series: int
    x: float
    y: float
    width: float
    height: float
    title: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Bars, and what the top of the box stands for."""

    bars: list[Bar]
    top: int


def stack(values: Sequence[Sequence[int]], titles: Sequence[str]) -> Chart:
    """Bars by day, stacked. ``values``: of each day, of each series, from the ground up, none negative."""
    top = _round_up(max((sum(each) for each in values), default=0))
    width = _SIDE / max(len(values), 1)
    bars = []
    for place, (of_day, title) in enumerate(zip(values, titles, strict=True)):
        below = 0
        for series, value in enumerate(of_day):
            if value:
                below += value
                bars.append(
                    Bar(
                        series=series,
                        x=round((place + _GAP / 2) * width, 2),
                        y=round(_SIDE - _SIDE * below / top, 2),
                        width=round(width * (1 - _GAP), 2),
                        height=round(_SIDE * value / top, 2),
                        title=title,
                    )
                )
    return Chart(bars=bars, top=top)


def _round_up(value: int) -> int:
    """A round number that is as large, and little larger; 1 for 0."""
    power = 1
    while power * 10 < value:
        power *= 10
    return next(power * tenths // 10 for tenths in _TOPS if power * tenths // 10 >= value)
