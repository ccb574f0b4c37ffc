"""LibreChat, replayed: its image tools as ``OpenAIImageTools.js`` has them, and what they read. The settings are those
of the page."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from safelight.providers.noop import png
from tests.clients.media import encoded_picture, spent
from tests.clients.pages import block, variables
from tests.clients.reader import ADDRESS, KEY, run_node
from tests.contract.accounts import Account


@pytest.fixture
def settings(account: Account) -> dict[str, str]:
    text = block("librechat", "librechat.env")
    return variables(text.replace(ADDRESS, account.base_url).replace(KEY, account.key))


def generate(settings: dict[str, str], **wishes: Any) -> dict[str, str]:
    told: dict[str, str] = json.loads(run_node("librechat_image.mjs", settings, json.dumps(wishes)))
    return told


async def edit(settings: dict[str, str], *images: bytes, quality: str = "auto", size: str = "auto") -> tuple[int, Any]:
    """Its edit: a form as ``form-data`` writes it, of streams, so that its length is not known; sent by another client
    than the rest. There is no ``n``."""
    boundary = "--------------------------" + os.urandom(12).hex()
    fields = {"model": settings["IMAGE_GEN_OAI_MODEL"], "prompt": "At night", "quality": quality, "size": size}

    async def body() -> AsyncIterator[bytes]:
        for name, value in fields.items():
            yield f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for index, image in enumerate(images):
            head = f'Content-Disposition: form-data; name="image[]"; filename="img-{index}.png"'
            yield f"--{boundary}\r\n{head}\r\nContent-Type: image/png\r\n\r\n".encode()
            yield image
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    headers = {
        "Accept": "application/json, text/plain, */*",
        "Authorization": f"Bearer {settings['IMAGE_GEN_OAI_API_KEY']}",
        "Content-Type": f"multipart/form-data; boundary={boundary}",
    }
    url = f"{settings['IMAGE_GEN_OAI_BASEURL']}/images/edits"
    async with aiohttp.ClientSession() as session, session.post(url, data=body(), headers=headers) as answer:
        return answer.status, await answer.json()


def test_an_agent_makes_images(settings: dict[str, str], account: Account) -> None:
    made = generate(settings, prompt="A red boat", size="1024x1024")
    assert encoded_picture(made["image"]) == ("png", 1024, 1024)
    assert encoded_picture(generate(settings, prompt="A red boat")["image"]) == ("png", 2048, 2048)
    webp = generate(settings, prompt="A red boat", size="1536x1024", quality="high", n=2, output_format="webp")
    assert encoded_picture(webp["image"]) == ("webp", 1248, 832)
    assert str(spent(account)) == "0.125"


def test_an_agent_is_told_what_is_wrong(settings: dict[str, str], account: Account) -> None:
    assert "background" in generate(settings, prompt="A red boat", background="transparent")["told"]
    refused = generate(settings | {"IMAGE_GEN_OAI_MODEL": "refused-image"}, prompt="A red boat")
    assert refused["told"].startswith("400 ")
    assert spent(account) == 0


@pytest.mark.parametrize("count", [1, 2])
async def test_an_agent_edits_images(settings: dict[str, str], account: Account, count: int) -> None:
    status, answer = await edit(settings, *[png()] * count, size="1024x1024")
    assert status == 200
    assert encoded_picture(answer["data"][0]["b64_json"]) == ("png", 1024, 1024)
    assert len(answer["data"]) == 1
    assert str(spent(account)) == "0.03"
