"""Pictures as the engine answers them."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
from PIL import Image


def decode(data: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    picture.load()
    return picture


def made(answer: httpx.Response) -> list[Image.Image]:
    """The pictures of an OpenAI-shaped answer, which has to be a success."""
    assert answer.status_code == 200, answer.text
    return [decode(item["b64_json"]) for item in answer.json()["data"]]


def generate(client: httpx.Client, **body: Any) -> list[Image.Image]:
    return made(client.post("/v1/images/generations", json={"prompt": "a red fox", **body}))


def png(size: tuple[int, int], colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()
