"""One scene per subject: from a brief and a palette to the elements of a picture, listed back to front."""

from collections.abc import Callable

from safelight.providers.builtin.canvas import Element
from safelight.providers.builtin.palette import Palette
from safelight.providers.builtin.reading import Brief
from safelight.providers.builtin.scenes import abstract, coast, cosmos, land, open_land, studio, town

Scene = Callable[[Brief, Palette], list[Element]]

SCENES: dict[str, Scene] = {
    "mountains": land.mountains,
    "village": land.village,
    "sea": coast.sea,
    "underwater": coast.underwater,
    "city": town.city,
    "desert": open_land.desert,
    "meadow": open_land.meadow,
    "forest": open_land.forest,
    "space": cosmos.space,
    "portrait": studio.portrait,
    "stilllife": studio.stilllife,
    "abstract": abstract.abstract,
}


def compose(brief: Brief, palette: Palette) -> list[Element]:
    """The elements of the brief's scene."""
    return SCENES[brief.subject](brief, palette)
