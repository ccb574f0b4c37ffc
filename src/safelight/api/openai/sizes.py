"""From a size in pixels, as OpenAI's clients give it, to a resolution and a ratio that a model lists.

The ratio is decided first, by the names that the catalog has for ratios, and then the resolution, by area. The pixels
of one ratio differ a little from one resolution to the next; to compare those would have 1536x1024 made at whichever
resolution rounds better, and perhaps at twice the price.
"""

from __future__ import annotations

import re
from fractions import Fraction

from safelight.domain.catalog import Model
from safelight.domain.errors import InvalidParameter
from safelight.domain.text import quoted

AUTO = "auto"
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)


def chosen(
    model: Model,
    *,
    is_exact: bool,
    size: str | None,
    quality: str | None = None,
    aspect_ratio: str | None = None,
    resolution: str | None = None,
) -> tuple[str | None, str | None]:
    """(resolution, aspect ratio) of all that a request says of them; None: the model's default.

    A quality is as good as a resolution where the catalog has one for it, and has no effect elsewhere. What would say
    the same thing twice is refused. Raises ``InvalidParameter``.
    """
    given = {"aspect_ratio": aspect_ratio, "resolution": resolution}
    if size not in (None, AUTO) and (other := next((name for name in given if given[name] is not None), None)):
        raise InvalidParameter(f"size and {other} say the same thing twice. Leave one of them out.", param="size")
    of_quality = model.qualities.get(quality or "")
    if of_quality is not None and resolution not in (None, of_quality):
        said = f"quality {quoted(quality)} is the resolution {of_quality}, and resolution is another"
        raise InvalidParameter(f"{said}. Leave one of them out.", param="quality")
    found, ratio = size_in_catalog(model, size, is_exact=is_exact, resolution=of_quality)
    return resolution or found, aspect_ratio or ratio


def size_in_catalog(
    model: Model, size: str | None, *, is_exact: bool, resolution: str | None = None
) -> tuple[str | None, str | None]:
    """(resolution, aspect ratio) that a size such as ``1536x1024`` stands for; both None where it is left out, or
    ``auto``: then the model's defaults hold.

    ``is_exact``: only sizes that the catalog has. ``resolution``: it is decided already, and only the ratio is to be
    found. Raises ``InvalidParameter``.
    """
    if size is None or size == AUTO:
        return resolution, None
    found = _SIZE.fullmatch(size)
    if found is None:
        raise _no_size(model, size, "is not a size", resolution)
    width, height = int(found[1]), int(found[2])
    resolutions = model.resolutions if resolution is None else (resolution,)
    for each in resolutions:
        for ratio in model.aspect_ratios:
            if model.sizes[each][ratio] == (width, height):
                return each, ratio
    if is_exact:
        raise _no_size(model, size, "is not supported by this model", resolution)
    wanted = Fraction(width, height)
    ratio = min(model.aspect_ratios, key=lambda name: _apart(wanted, _ratio(name)))

    def area(name: str) -> int:
        own_width, own_height = model.sizes[name][ratio]
        return own_width * own_height

    nearest = min(resolutions, key=lambda name: (_apart(Fraction(width * height), Fraction(area(name))), area(name)))
    return nearest, ratio


def _ratio(name: str) -> Fraction:
    width, _, height = name.partition(":")
    return Fraction(int(width), int(height))


def _apart(one: Fraction, other: Fraction) -> Fraction:
    """How far two are apart: the exponential of what their logarithms differ by, which is exact."""
    return max(one / other, other / one)


def _no_size(model: Model, size: str, what: str, resolution: str | None) -> InvalidParameter:
    resolutions = model.resolutions if resolution is None else (resolution,)
    pixels = dict.fromkeys(model.sizes[each][ratio] for each in resolutions for ratio in model.aspect_ratios)
    listed = ", ".join(f"{width}x{height}" for width, height in pixels)
    return InvalidParameter(f"size {quoted(size)} {what}. Use auto, or one of: {listed}.", param="size")
