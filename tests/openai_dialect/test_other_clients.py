"""Requests as other programs write them, byte for byte where it matters, and what each of them reads of the answer."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.openai_dialect.test_official_client import picture
from tests.support.tenants import Tenant

PROMPT = "a red boat"


def decoded(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.mark.parametrize("model", ["still", "gpt-image-1"])
async def test_open_webui_makes_a_picture(model: str, http: httpx.AsyncClient) -> None:
    """``routers/images.py``: it asks for base64 unless the model's name begins with gpt-image; takes ``url`` first."""
    data = {
        "model": model,
        "prompt": PROMPT,
        "n": 1,
        "size": "512x512",
        **({} if re.match("^gpt-image", model) else {"response_format": "b64_json"}),
    }
    answer = await http.post("/v1/images/generations", json=data)
    assert answer.is_success, answer.text
    for image in answer.json()["data"]:
        assert image.get("url") is None, "it would fetch it with the key attached"
        assert decoded(image["b64_json"]).format == "PNG", "it labels bare base64 as image/png"


@pytest.mark.parametrize("count", [1, 2])
async def test_open_webui_edits(count: int, http: httpx.AsyncClient) -> None:
    """Its form: ``image`` for one file and ``image[]`` for several; it says what format it wants."""
    form = {"model": "still", "prompt": PROMPT, "n": "1", "size": "512x512", "response_format": "b64_json"}
    name = "image" if count == 1 else "image[]"
    files = [(name, (f"{place}.png", picture(), "image/png")) for place in range(count)]
    answer = await http.post("/v1/images/edits", data=form, files=files)
    assert answer.is_success, answer.text
    assert decoded(answer.json()["data"][0]["b64_json"]).format == "PNG"


async def test_librechat_makes_a_picture(http: httpx.AsyncClient) -> None:
    """``OpenAIImageTools.js``: everything is auto, and only ``data[0].b64_json`` is read."""
    body = {
        "model": "gpt-image-1",
        "prompt": PROMPT,
        "n": 1,
        "background": "auto",
        "output_format": "png",
        "quality": "auto",
        "size": "auto",
    }
    answer = await http.post("/v1/images/generations", json=body)
    assert answer.is_success, answer.text
    assert decoded(answer.json()["data"][0]["b64_json"]).format == "PNG"
    streamed = await http.post("/v1/images/generations", json={**body, "stream": True, "partial_images": 3})
    assert "event: image_generation.completed" in streamed.text


async def test_librechat_edits(http: httpx.AsyncClient) -> None:
    """axios and form-data: ``image[]`` even for one file, no ``n``."""
    boundary = "--------------------------058382571263718292737654"
    form = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in {"model": "gpt-image-1", "prompt": PROMPT, "quality": "auto", "size": "auto"}.items()
    )
    head = 'Content-Disposition: form-data; name="image[]"; filename="0b1c.png"\r\nContent-Type: image/png\r\n\r\n'
    form += f"--{boundary}\r\n{head}".encode() + picture() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Accept": "application/json, */*"}
    answer = await http.post("/v1/images/edits", content=form, headers=headers)
    assert answer.is_success, answer.text
    assert decoded(answer.json()["data"][0]["b64_json"]).format == "PNG"


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": PROMPT, "model": "dall-e-3", "response_format": "b64_json"},
        {"prompt": PROMPT, "model": "dall-e-3", "response_format": "url", "quality": "hd", "style": "vivid", "n": 1},
        {"prompt": PROMPT, "model": "gpt-image-1", "quality": "medium", "size": "1024x1536"},
    ],
)
async def test_n8n_makes_a_picture(body: dict[str, Any], http: httpx.AsyncClient, customer: Tenant) -> None:
    """``vendors/OpenAi/v2``: it reads ``b64_json``, or gives ``data`` on where it asked for links."""
    answer = await http.post("/v1/images/generations", json=body)
    assert answer.is_success, answer.text
    [image] = answer.json()["data"]
    if body.get("response_format") == "url":
        async with httpx.AsyncClient() as nobody:
            assert (await nobody.get(image["url"])).headers["content-type"] == "image/png"
    else:
        assert decoded(image["b64_json"]).format == "PNG"


async def test_the_ai_sdk(http: httpx.AsyncClient) -> None:
    """``@ai-sdk/openai-compatible``: base64 is asked for, and edits come as a form."""
    body = {"model": "still", "prompt": PROMPT, "n": 2, "size": "1024x1024", "response_format": "b64_json"}
    answer = await http.post("/v1/images/generations", json=body)
    assert [decoded(each["b64_json"]).format for each in answer.json()["data"]] == ["PNG", "PNG"]
    files = [("image", ("blob", picture(), "application/octet-stream"))]
    edited = await http.post("/v1/images/edits", data={"model": "still", "prompt": PROMPT, "n": "1"}, files=files)
    assert edited.is_success, edited.text


async def test_litellm_sends_what_the_client_does(http: httpx.AsyncClient) -> None:
    """What it passes on to OpenAI's client: everything that it takes for an image."""
    body = {
        "model": "still",
        "prompt": PROMPT,
        "background": "auto",
        "moderation": "low",
        "n": 1,
        "output_compression": 80,
        "output_format": "webp",
        "quality": "medium",
        "size": "1024x1024",
        "user": "ann",
    }
    answer = await http.post("/v1/images/generations", json=body)
    assert decoded(answer.json()["data"][0]["b64_json"]).format == "WEBP"
