"""Open WebUI, replayed: its requests as ``routers/images.py`` builds them, sent by the library that it uses, and its
reading of the answer. The settings are those of the page."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from safelight.providers.noop import png
from tests.clients.media import encoded_picture, picture, spent
from tests.clients.pages import block, variables
from tests.clients.reader import ADDRESS, KEY
from tests.contract.accounts import Account

URL_MODELS = "^gpt-image"  # IMAGE_URL_RESPONSE_MODELS_REGEX_PATTERN, as it ships


class OpenWebUI:
    """What it does with its settings. Only a status of 2xx is looked into, as its ``raise_for_status`` has it."""

    def __init__(self, settings: dict[str, str], session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._session = session

    async def generate(self, prompt: str, *, n: int = 1, size: str | None = None, **params: Any) -> list[bytes]:
        settings = self._settings
        headers = {
            "Authorization": f"Bearer {settings['IMAGES_OPENAI_API_KEY']}",
            "Content-Type": "application/json",
        }
        data = {
            "model": settings["IMAGE_GENERATION_MODEL"],
            "prompt": prompt,
            "n": n,
            "size": size or settings["IMAGE_SIZE"],
            **self._response_format(settings["IMAGE_GENERATION_MODEL"]),
            **params,
        }
        url = f"{settings['IMAGES_OPENAI_API_BASE_URL']}/images/generations"
        async with self._session.post(url=url, json=data, headers=headers) as answer:
            answer.raise_for_status()
            return await self._images(await answer.json(content_type=None), headers)

    async def edit(self, prompt: str, images: list[bytes] | bytes, *, size: str | None = None) -> list[bytes]:
        settings = self._settings
        headers = {"Authorization": f"Bearer {settings['IMAGES_EDIT_OPENAI_API_KEY']}"}
        fields = {
            "model": settings["IMAGE_EDIT_MODEL"],
            "prompt": prompt,
            **({"size": size} if size else {}),
            **self._response_format(settings["IMAGE_EDIT_MODEL"]),
        }
        form = aiohttp.FormData()
        for name, value in fields.items():
            form.add_field(name, str(value))
        several = isinstance(images, list)
        for image in images if isinstance(images, list) else [images]:
            form.add_field(
                "image[]" if several else "image", image, filename=f"{uuid.uuid4()}.png", content_type="image/png"
            )
        url = f"{settings['IMAGES_EDIT_OPENAI_API_BASE_URL']}/images/edits"
        async with self._session.post(url=url, headers=headers, data=form) as answer:
            answer.raise_for_status()
            return await self._images(await answer.json(content_type=None), headers)

    @staticmethod
    def _response_format(model: str) -> dict[str, str]:
        return {} if re.match(URL_MODELS, model) else {"response_format": "b64_json"}

    async def _images(self, answer: Any, headers: dict[str, str]) -> list[bytes]:
        """Its ``get_image_data``: the link first, fetched with the same headers; else base64, taken for a PNG."""
        found = []
        for image in answer["data"]:
            if url := image.get("url"):
                sent = {name: value for name, value in headers.items() if name != "Content-Type"}
                async with self._session.get(url, headers=sent) as file:
                    file.raise_for_status()
                    assert file.headers.get("content-type", "").split("/")[0] == "image"
                    found.append(await file.read())
            else:
                assert "," not in image["b64_json"]
                assert encoded_picture(image["b64_json"])[0] == "png"
                found.append(base64.b64decode(image["b64_json"]))
        return found


def settings_of(account: Account, **changed: str) -> dict[str, str]:
    text = block("open-webui", "open-webui.env")
    return variables(text.replace(ADDRESS, account.base_url).replace(KEY, account.key)) | changed


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_a_chat_makes_and_edits_images(account: Account, session: aiohttp.ClientSession) -> None:
    open_webui = OpenWebUI(settings_of(account), session)
    (made,) = await open_webui.generate("A red boat")
    assert picture(made) == ("png", 1024, 1024)
    assert len(await open_webui.generate("A red boat", n=3)) == 3
    (edited,) = await open_webui.edit("At night", made, size="1536x1024")
    assert picture(edited) == ("png", 1248, 832)
    (of_two,) = await open_webui.edit("Both", [made, png()], size="1024x1024")
    assert picture(of_two) == ("png", 1024, 1024)
    (of_one,) = await open_webui.edit("Once more", [made], size="1024x1024")
    assert picture(of_one) == ("png", 1024, 1024)
    assert str(spent(account)) == "0.21"


@pytest.mark.parametrize("model", ["seedream-5-lite", "dall-e-3"])
async def test_models_of_other_names_are_asked_for_base64(
    account: Account, session: aiohttp.ClientSession, model: str
) -> None:
    chosen = {"IMAGE_GENERATION_MODEL": model, "IMAGE_EDIT_MODEL": "seedream-5-lite"}
    open_webui = OpenWebUI(settings_of(account, **chosen), session)
    (made,) = await open_webui.generate("A red boat", size="512x512")
    assert picture(made) == ("png", 1024, 1024)
    (edited,) = await open_webui.edit("At night", made, size="1024x1024")
    assert picture(edited) == ("png", 1024, 1024)


async def test_links_are_fetched_with_the_key(account: Account, session: aiohttp.ClientSession) -> None:
    open_webui = OpenWebUI(settings_of(account), session)
    (made,) = await open_webui.generate("A red boat", response_format="url", seed=7)
    assert picture(made) == ("png", 1024, 1024)


async def test_a_refusal_is_a_status_that_it_shows(account: Account, session: aiohttp.ClientSession) -> None:
    open_webui = OpenWebUI(settings_of(account, IMAGE_GENERATION_MODEL="refused-image"), session)
    with pytest.raises(aiohttp.ClientResponseError) as raised:
        await open_webui.generate("A red boat")
    assert raised.value.status == 400
    assert spent(account) == 0
