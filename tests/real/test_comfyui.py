"""What is shown on the fake ComfyUI holds on a real one, and the fake's answers are what a real one answers.

`make real-comfyui` runs this.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.comfyui.conftest import desk
from tests.providers.comfyui.test_exchange import (
    said,
    test_everything_is_asked,
    test_the_answer_is_what_a_real_server_said,
)
from tests.providers.comfyui.test_jobs import *  # noqa: F403 - every test, on another server
from tests.real.comfyui import RealComfy

__all__ = ["desk", "said", "test_everything_is_asked", "test_the_answer_is_what_a_real_server_said"]


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealComfy]:
    server = RealComfy(tmp_path_factory.mktemp("comfyui") / "files")
    yield server
    server.kill()
