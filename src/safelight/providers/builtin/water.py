"""Water: it mirrors what is painted above it, broken by ripples that grow towards the viewer."""

import numpy as np

from safelight.providers.builtin.canvas import Canvas, Element
from safelight.providers.builtin.noise import Field, Keyed, sample, texture
from safelight.providers.builtin.palette import mix
from safelight.providers.builtin.reading import Brief


def surface(brief: Brief, *, top: float, depth: float = 0.5, rough: float = 1.0) -> Element:
    """Water from ``top`` (share of the height) to the bottom of the picture."""
    return Element(depth=depth, moves=True, draw=_Water(brief, top, rough).draw, hides=top)


class _Water:
    def __init__(self, brief: Brief, top: float, rough: float) -> None:
        self.top, self.rough = top, rough
        self.tile = texture(brief.rng("water"), 256, roughness=1.3, coarsest=2)
        self._lean: Keyed | None = None

    def draw(self, canvas: Canvas, seconds: float) -> None:
        start = round(self.top * canvas.height / 2) * 2
        count = canvas.height - start
        if count < 4:
            return
        if self._lean is None:
            aspect = canvas.span / canvas.height
            self._lean = Keyed(lambda at: self._leaning(count, canvas.span // 4, aspect, at), 0.125)
        deep = mix(canvas.palette.zenith, canvas.palette.shade, 0.6)
        canvas.mirror(start, self._lean.at(seconds), self.rough, deep, canvas.palette.sun)

    def _leaning(self, rows: int, columns: int, aspect: float, seconds: float) -> Field:
        """How the surface leans, about 0: (rows, columns), the nearest row last."""
        near = (np.arange(rows, dtype=np.float32) + 0.5) / rows
        across = np.linspace(-0.5, 0.5, max(16, columns), dtype=np.float32)[None, :] * np.float32(aspect)
        away = 1 / (near[:, None] + np.float32(0.06))
        t = np.float32(seconds * 0.05)
        lean = sample(self.tile, across * away * np.float32(0.9) + t, away * np.float32(2.6) - t * 2 + 0 * across)
        fine = sample(self.tile, across * away * np.float32(2.3) - t, away * np.float32(6.1) + t + 0 * across)
        return lean + fine * np.float32(0.5)
