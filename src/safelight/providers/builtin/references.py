"""Pictures that were given: read, cropped to the frame, and lent to the scene as colours and composition."""

import numpy as np
import pyvips
from numpy.typing import NDArray

from safelight.providers.builtin.reading import Rgb

Bytes = NDArray[np.uint8]


def cover(data: bytes, width: int, height: int) -> Bytes:
    """Decode a picture and crop it, from its middle, to cover (height, width, 4); opaque.

    Raises ``ValueError`` when the data cannot be decoded.
    """
    try:
        image = pyvips.Image.thumbnail_buffer(data, width, height=height, crop="centre", size="both")
        if image.hasalpha():
            image = image.flatten(background=[255, 255, 255])
        image = image.colourspace("srgb").cast("uchar")
        rgb = image.numpy()
    except pyvips.Error as error:
        raise ValueError("a reference image could not be decoded") from error
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[..., :3] = rgb[:height, :width, :3]
    return pixels


def leading_colours(pictures: list[Bytes]) -> tuple[Rgb, ...]:
    """Five colours of some pictures together, dark to light."""
    parts = [picture[:: max(1, picture.shape[0] // 48), :: max(1, picture.shape[1] // 48), :3] for picture in pictures]
    colours = np.concatenate([part.reshape(-1, 3) for part in parts]).astype(np.float32) / 255
    order = np.argsort(colours @ np.array([0.3, 0.59, 0.11], np.float32), kind="stable")
    groups = np.array_split(colours[order], 5)
    found = []
    for group in groups:
        red, green, blue = (float(part) for part in group.mean(axis=0))
        found.append((red, green, blue))
    return tuple(found)
