"""The image, as `make test` has built it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.deploy.engine import Image

BUILT = Path(__file__).parents[2] / "build" / "image"


@pytest.fixture(scope="session")
def image() -> Image:
    if os.geteuid() != 0:
        pytest.skip("namespaces and an overlay stand in for a container engine, and that takes root")
    assert (BUILT / "image.json").exists(), "the image is not built: run `make test` once, as root"
    return Image.load(BUILT)
