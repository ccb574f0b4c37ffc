"""The fake answers as a real server did."""

from __future__ import annotations

import json

import pytest

from tests.providers.comfyui.exchange import RECORDED, talk
from tests.providers.comfyui.servers import ComfyServer

REAL = json.loads(RECORDED.read_text())


@pytest.fixture(scope="module")
async def said(comfy: ComfyServer) -> dict[str, object]:
    return json.loads(json.dumps(await talk(comfy.base_url)))  # type: ignore[no-any-return]


def test_everything_is_asked(said: dict[str, object]) -> None:
    assert said.keys() == REAL.keys()


@pytest.mark.parametrize("about", sorted(REAL))
def test_the_answer_is_what_a_real_server_said(about: str, said: dict[str, object]) -> None:
    assert said[about] == REAL[about]
