"""Colours of a picture: one set per light, moved by chance and by the colours the prompt names."""

import colorsys

import msgspec

from safelight.providers.builtin.reading import Brief, Rgb


class Palette(msgspec.Struct, frozen=True, kw_only=True):
    """Colours are 0..1 sRGB. ``night`` is 0 by day and 1 in the dark; ``sun_x`` and ``sun_y`` are shares of the frame
    (``sun_y`` above the horizon, as a share of the sky)."""

    name: str
    zenith: Rgb
    middle: Rgb
    horizon: Rgb
    sun: Rgb
    light: Rgb
    shade: Rgb
    haze: Rgb
    cloud_light: Rgb
    cloud_shade: Rgb
    night: float
    sun_x: float
    sun_y: float
    accent: Rgb


def _rgb(*codes: int) -> Rgb:
    red, green, blue = codes
    return red / 255, green / 255, blue / 255


_LIGHTS: dict[str, tuple[tuple[int, int, int], ...]] = {
    # zenith, middle, horizon, sun, light, shade, haze, lit cloud, shaded cloud
    "dawn": ((98, 128, 184), (226, 178, 182), (255, 220, 170), (255, 240, 204), (255, 204, 158), (92, 96, 148),
             (236, 198, 190), (255, 226, 200), (178, 150, 184)),
    "day": ((38, 100, 178), (112, 170, 220), (210, 230, 240), (255, 252, 240), (255, 246, 226), (84, 108, 152),
            (186, 210, 228), (255, 254, 250), (158, 178, 204)),
    "golden": ((78, 116, 160), (240, 190, 128), (255, 224, 152), (255, 244, 200), (255, 200, 116), (96, 84, 112),
               (246, 206, 148), (255, 230, 176), (176, 132, 128)),
    "dusk": ((40, 44, 98), (156, 80, 124), (255, 148, 92), (255, 206, 140), (246, 146, 110), (54, 46, 96),
             (196, 116, 124), (255, 168, 128), (98, 66, 118)),
    "night": ((7, 11, 32), (17, 32, 68), (42, 70, 112), (232, 238, 252), (116, 148, 200), (10, 17, 42),
              (36, 58, 96), (112, 134, 174), (24, 38, 70)),
    "neon": ((14, 9, 38), (62, 20, 92), (196, 46, 136), (255, 120, 190), (255, 96, 190), (22, 15, 54),
             (104, 36, 124), (190, 70, 160), (42, 22, 80)),
    "storm": ((40, 48, 60), (80, 94, 106), (172, 180, 172), (226, 228, 220), (176, 186, 188), (38, 46, 60),
              (118, 132, 140), (176, 184, 186), (50, 58, 70)),
    "overcast": ((148, 162, 176), (188, 197, 204), (222, 225, 224), (244, 242, 236), (214, 218, 220),
                 (104, 116, 130), (206, 213, 217), (232, 234, 234), (166, 176, 186)),
}  # fmt: skip
_NIGHT = {"night": 1.0, "neon": 1.0, "dusk": 0.5, "storm": 0.3, "dawn": 0.15, "overcast": 0.1}
_SUN_HEIGHT = {"day": 0.78, "golden": 0.24, "dawn": 0.16, "dusk": 0.08, "night": 0.7, "overcast": 0.6}
_UNSAID = ("golden", "day", "dawn", "dusk", "day", "golden")


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """``a`` with a ``share`` of ``b``."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def scale(colour: Rgb, factor: float) -> Rgb:
    """Lighter or darker, held within 0..1."""
    return (min(1, colour[0] * factor), min(1, colour[1] * factor), min(1, colour[2] * factor))


def turn(colour: Rgb, hue: float, saturation: float = 1.0) -> Rgb:
    """A colour turned by ``hue`` (share of the wheel) and with its saturation multiplied."""
    h, lightness, s = colorsys.rgb_to_hls(*colour)
    return colorsys.hls_to_rgb((h + hue) % 1, lightness, min(1, s * saturation))


def argb(colour: Rgb, alpha: float = 1.0) -> int:
    """The packed colour that Skia takes."""
    red, green, blue = (round(255 * min(1, max(0, part))) for part in colour)
    return round(255 * min(1, max(0, alpha))) << 24 | red << 16 | green << 8 | blue


def luma(colour: Rgb) -> float:
    """Rec. 709 weights on display values: good enough to tell light from dark."""
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def choose(brief: Brief, borrowed: tuple[Rgb, ...] = ()) -> Palette:
    """The palette of a brief. ``borrowed`` are the leading colours of reference images, dark to light."""
    rng = brief.rng("palette")
    name = brief.light or str(rng.choice(_UNSAID))
    hue, saturation = rng.uniform(-0.025, 0.025), rng.uniform(0.85, 1.15)
    colours = [turn(_rgb(*code), hue, saturation) for code in _LIGHTS[name]]
    if brief.colours:
        tint, strength = brief.colours[0], 0.22
        colours = [mix(c, mix(tint, c, 0.4), strength * weight) for c, weight in zip(colours, _TINT, strict=True)]
    if borrowed:
        dark, light = borrowed[0], borrowed[-1]
        middle = borrowed[len(borrowed) // 2]
        anchors = (middle, middle, light, light, light, dark, middle, light, dark)
        colours = [mix(c, anchor, 0.5) for c, anchor in zip(colours, anchors, strict=True)]
    side = rng.uniform(0.16, 0.36)
    accents = ((0.82, 0.25, 0.16), (0.90, 0.62, 0.16), (0.16, 0.50, 0.56), (0.62, 0.22, 0.36))
    accent = brief.colours[0] if brief.colours else accents[int(rng.integers(len(accents)))]
    zenith, mid, horizon, sun, light, shade, haze, cloud_light, cloud_shade = colours
    return Palette(
        name=name, zenith=zenith, middle=mid, horizon=horizon, sun=sun, light=light, shade=shade, haze=haze,
        cloud_light=cloud_light, cloud_shade=cloud_shade, night=_NIGHT.get(name, 0.0),
        sun_x=side if rng.random() < 0.5 else 1 - side,
        sun_y=_SUN_HEIGHT.get(name, 0.5) + rng.uniform(-0.05, 0.06), accent=accent,
    )  # fmt: skip


_TINT = (0.8, 1.0, 0.7, 0.2, 0.5, 0.6, 1.0, 0.5, 0.7)
