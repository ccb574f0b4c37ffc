"""n8n, replayed: its OpenAI node as ``vendors/OpenAi`` has it, and what it reads. The credential is the page's."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from safelight.providers.noop import png
from tests.clients.media import clip, picture, spent
from tests.clients.pages import table_of
from tests.clients.reader import ADDRESS, KEY
from tests.contract.accounts import Account
from tests.support.server import PATIENCE_SECONDS

File = tuple[str, bytes]


class NodeFailed(Exception):
    """What the node throws."""


class OpenAINode:
    """What it sends, with ``credential`` as somebody typed it in."""

    def __init__(self, credential: dict[str, str], session: aiohttp.ClientSession) -> None:
        self._url = credential["Base URL"]
        self._headers = {
            "Authorization": f"Bearer {credential['API Key']}",
            "OpenAI-Organization": credential["Organization ID"],
        }
        self._session = session

    async def models(self, *parts: str) -> list[str]:
        """What its list offers: the models whose ids have one of ``parts``."""
        listed = await self._request("GET", "/models")
        return sorted(model["id"] for model in listed["data"] if any(part in model["id"] for part in parts))

    async def generate_image(self, model: str, *, return_urls: bool = False, **options: Any) -> list[Any]:
        takes_format = not model.startswith("gpt-image")
        response_format = "url" if return_urls and takes_format else "b64_json"
        body = {"prompt": "A red boat", "model": model, **options}
        if takes_format:
            body["response_format"] = response_format
        data = (await self._request("POST", "/images/generations", json=body))["data"]
        return [entry if response_format == "url" else base64.b64decode(entry["b64_json"]) for entry in data]

    async def edit_image(self, model: str, *images: bytes, **fields: str) -> list[Any]:
        is_gpt = model.startswith("gpt-image-1")
        files = [("image[]" if is_gpt else "image", image) for image in images]
        defaults = {"n": "1", "size": "1024x1024"} | ({"quality": "auto"} if is_gpt else {"response_format": "url"})
        form = {"prompt": "At night", "model": model, **defaults, **fields}
        data = (await self._request("POST", "/images/edits", **_form(form, files)))["data"]
        return [base64.b64decode(entry["b64_json"]) if is_gpt else entry for entry in data]

    async def generate_video(self, model: str, *, reference: bytes | None = None, **fields: str) -> tuple[str, bytes]:
        """The type and the bytes. It asks until ``completed``, and throws at the first ``error`` that is truthy."""
        form = {"model": model, "prompt": "A boat leaves", "seconds": "4", "size": "1280x720", **fields}
        files = [] if reference is None else [("input_reference", reference)]
        made = await self._request("POST", "/videos", **_form(form, files))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self._request("GET", f"/videos/{made['id']}")
                if found.get("error"):
                    raise NodeFailed(found["error"]["message"])
                if found["status"] == "completed":
                    break
                await asyncio.sleep(0.1)
        url = f"{self._url}/videos/{found['id']}/content"
        async with self._session.get(url, headers=self._headers) as answer:
            assert answer.status == 200
            return answer.headers["content-type"], await answer.read()

    async def _request(self, method: str, path: str, **options: Any) -> Any:
        headers = {**self._headers, "Accept": "application/json", **options.pop("headers", {})}
        async with self._session.request(method, self._url + path, headers=headers, **options) as answer:
            document = await answer.json()
            if answer.status >= 400:
                raise NodeFailed(document["error"]["message"])
            return document


def _form(fields: dict[str, str], files: list[File]) -> dict[str, Any]:
    """A form as ``form-data`` writes it: files before fields in an edit, with names and types of their own."""
    boundary = "--------------------------" + os.urandom(12).hex()
    named = 'Content-Disposition: form-data; name="{}"'
    of_a_file = named + '; filename="data.png"\r\nContent-Type: image/png\r\n\r\n'
    parts = [of_a_file.format(name).encode() + content for name, content in files]
    parts += [f"{named.format(name)}\r\n\r\n{value}".encode() for name, value in fields.items()]
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return {
        "data": body + f"--{boundary}--\r\n".encode(),
        "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    }


@pytest.fixture
async def node(account: Account) -> AsyncIterator[OpenAINode]:
    typed = table_of("n8n", "Credential")
    credential = {
        field: text.replace(ADDRESS, account.base_url).replace(KEY, account.key) for field, text in typed.items()
    }
    async with aiohttp.ClientSession() as session:
        yield OpenAINode(credential, session)


async def test_its_lists_offer_the_aliases(node: OpenAINode) -> None:
    assert {"gpt-image-1", "gpt-image-1-mini", "dall-e-3"} <= set(await node.models("gpt-image", "dall-e"))
    assert "sora-2" in await node.models("sora")


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gpt-image-1-mini", {}),
        ("gpt-image-1", {"quality": "medium", "size": "1024x1536"}),
        ("dall-e-3", {"quality": "hd", "style": "vivid", "size": "1792x1024"}),
        ("dall-e-2", {"n": 2, "size": "256x256"}),
    ],
)
async def test_generate_image(node: OpenAINode, account: Account, model: str, options: dict[str, Any]) -> None:
    made = await node.generate_image(model, **options)
    assert {picture(each)[0] for each in made} == {"png"}
    assert len(made) == options.get("n", 1)
    assert spent(account) > 0


async def test_generate_image_as_links(node: OpenAINode) -> None:
    (entry,) = await node.generate_image("dall-e-3", return_urls=True, size="1024x1024")
    async with aiohttp.ClientSession() as session, session.get(entry["url"]) as answer:
        assert picture(await answer.read()) == ("png", 1024, 1024)
    assert entry.get("b64_json") is None


async def test_edit_image(node: OpenAINode, account: Account) -> None:
    (one,) = await node.edit_image("gpt-image-1", png())
    assert picture(one) == ("png", 1024, 1024)
    options = {"output_format": "webp", "output_compression": "80", "input_fidelity": "high", "user": "u-1"}
    (of_two,) = await node.edit_image("gpt-image-1", png(), png(), **options)
    assert picture(of_two) == ("webp", 1024, 1024)
    assert str(spent(account)) == "0.06"


async def test_a_transparent_background_is_refused_with_a_sentence(node: OpenAINode, account: Account) -> None:
    with pytest.raises(NodeFailed, match="background"):
        await node.edit_image("gpt-image-1", png(), background="transparent")
    assert spent(account) == 0


async def test_a_model_without_references_edits_nothing(node: OpenAINode, account: Account) -> None:
    with pytest.raises(NodeFailed, match="image"):
        await node.edit_image("dall-e-3", png())
    assert spent(account) == 0
    assert await node.edit_image("dall-e-2", png()), "which its list of models for edits offers"


@pytest.mark.parametrize("reference", [None, png()], ids=["text", "first frame"])
async def test_generate_video(node: OpenAINode, account: Account, reference: bytes | None) -> None:
    kind, content = await node.generate_video("sora-2", reference=reference)
    assert kind == "video/mp4"
    assert clip(content) == (1280, 720, 4)
    assert str(spent(account)) == "0.104"


@pytest.mark.parametrize("size", ["720x1280", "1024x1792", "1792x1024"])
async def test_every_size_that_it_offers(node: OpenAINode, size: str) -> None:
    _, content = await node.generate_video("sora-2", size=size)
    width, height, seconds = clip(content)
    asked_width, _, asked_height = size.partition("x")
    assert (width > height) == (int(asked_width) > int(asked_height))
    assert seconds == 4


async def test_a_failure_is_thrown_with_its_message(node: OpenAINode, account: Account) -> None:
    with pytest.raises(NodeFailed):
        await node.generate_video("failing-video")
    with pytest.raises(NodeFailed, match="seconds"):
        await node.generate_video("sora-2", seconds="7")
    assert spent(account) == 0
