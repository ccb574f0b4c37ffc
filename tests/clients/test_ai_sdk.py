"""Vercel's AI SDK under Node, with its providers for OpenAI's API, and the page's model object for videos."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import av

from tests.clients.media import clip, encoded_picture, spent
from tests.clients.pages import block
from tests.clients.reader import exported, run_node, with_packages
from tests.contract.accounts import Account

SMALL = ("png", 1024, 1024)


def test_beyond_the_recipe(account: Account, tmp_path: Path) -> None:
    module = tmp_path / "safelight-video.mjs"
    module.write_text(block("ai-sdk", "safelight-video.mjs"))
    with_packages(tmp_path)
    told: dict[str, Any] = json.loads(run_node("ai_sdk.mjs", exported(account), str(module)))

    for name in ("four", "four_of_openai"):
        assert told[name]["calls"] == 1
        assert [(kind, encoded_picture(image)) for kind, image in told[name]["images"]] == [("image/png", SMALL)] * 4
    for name, picture in (("dall_e", SMALL), ("edited", SMALL), ("options", ("webp", 1024, 1024))):
        ((kind, image),) = told[name]["images"]
        assert (kind, encoded_picture(image)) == (f"image/{picture[0]}", picture)
    assert all(told[name]["warnings"] == [] for name in ("four", "four_of_openai", "dall_e", "options", "edited"))

    refused = told["refused"]
    assert (refused["isApiError"], refused["status"], refused["isRetryable"], refused["calls"]) == (True, 400, False, 1)
    assert "Change the prompt" in refused["message"]

    kind, encoded = told["video"]
    content = base64.b64decode(encoded)
    assert (kind, clip(content)) == ("video/mp4", (720, 1280, 4))
    (tmp_path / "video.mp4").write_bytes(content)
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert len(container.streams.audio) == 1
    assert told["failed"]
    assert "seconds" in told["seconds"]

    images = 10 * Decimal("0.03") + Decimal("0.005")
    assert spent(account) == images + 4 * Decimal("0.052")
