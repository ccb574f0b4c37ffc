"""sd-server's /v1/images/edits: what becomes of the pictures that are sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from PIL import Image

from tests.real.pictures import made, png

RED = png((96, 64), (220, 30, 20))
BLUE = png((96, 64), (20, 40, 220))
NO_PICTURE = bytes(2000)


def edit(client: httpx.Client, *files: tuple[str, bytes], **fields: str) -> Image.Image:
    parts: list[Any] = [(name, ("file.png", data, "image/png")) for name, data in files]
    answer = client.post("/v1/images/edits", data={"prompt": "a red fox", **fields}, files=parts)
    (picture,) = made(answer)
    return picture


@pytest.mark.parametrize("field", ["image", "image[]"])
def test_the_picture_is_heeded_and_gives_the_size(client: httpx.Client, field: str) -> None:
    red, blue = edit(client, (field, RED)), edit(client, (field, BLUE))
    assert red.size == blue.size == (96, 64)
    assert red.tobytes() != blue.tobytes()


def test_several_are_heeded(client: httpx.Client) -> None:
    alone = edit(client, ("image[]", RED))
    both = edit(client, ("image[]", RED), ("image[]", BLUE))
    assert both.tobytes() != alone.tobytes()


def test_of_several_by_the_plain_name_the_first_is_taken(client: httpx.Client) -> None:
    both = edit(client, ("image", RED), ("image", BLUE))
    assert both.tobytes() == edit(client, ("image", RED)).tobytes()


def test_a_size_overrules_the_picture(client: httpx.Client) -> None:
    assert edit(client, ("image", RED), size="64x128").size == (64, 128)


def test_what_is_no_picture_is_dropped_and_the_answer_is_a_success(client: httpx.Client) -> None:
    answer = edit(client, ("image", NO_PICTURE), size="64x64")
    other = edit(client, ("image", bytes(3000)), size="64x64")
    assert answer.tobytes() == other.tobytes(), "neither had a part in it"
    assert edit(client, ("image[]", NO_PICTURE), ("image[]", RED)).size == (96, 64)


def test_a_jpeg_may_be_asked_for(client: httpx.Client) -> None:
    assert edit(client, ("image", RED), output_format="jpeg").format == "JPEG"
