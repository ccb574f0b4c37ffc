"""How sd-server says no: `error` is a plain string, and wrong JSON is the server's fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.real.engine import Engine
from tests.real.pictures import png

GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"
SMALL = {"prompt": "x", "size": "8x8"}
FOX = ("fox.png", png((64, 64), (200, 80, 20)), "image/png")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (SMALL | {"prompt": ""}, "prompt required"),
        ({"size": "8x8"}, "prompt required"),
        (SMALL | {"output_format": "gif"}, "invalid output_format, must be one of [png, jpeg, webp]"),
        (SMALL | {"prompt": "x<sd_cpp_extra_args>{</sd_cpp_extra_args>"}, "invalid sd_cpp_extra_args"),
    ],
)
def test_what_it_looks_for_is_a_400(client: httpx.Client, body: dict[str, Any], words: str) -> None:
    answer = client.post(GENERATIONS, json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": words})


def test_an_empty_body_is_a_400(client: httpx.Client) -> None:
    answer = client.post(GENERATIONS, content=b"")
    assert (answer.status_code, answer.json()) == (400, {"error": "empty body"})


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'{"prompt": 5}', b'{"prompt": "x", "n": "2"}', b'{"prompt": "x", "size": null}'],
)
def test_wrong_json_and_null_are_a_500(client: httpx.Client, body: bytes) -> None:
    answer = client.post(GENERATIONS, content=body)
    assert answer.status_code == 500
    assert answer.json().keys() == {"error", "message"}
    assert answer.json()["error"] == "server_error"
    assert answer.json()["message"].startswith("[json.exception.")


def test_a_picture_that_there_is_no_memory_for_is_a_500_and_the_next_is_made(tmp_path: Path) -> None:
    engine = Engine(tmp_path, memory_bytes=2 << 30)
    try:
        with httpx.Client(base_url=engine.base_url, timeout=120) as client:
            answer = client.post(GENERATIONS, json={"prompt": "x", "size": "100000x64"})
            assert (answer.status_code, answer.json()) == (500, {"error": "generate_image returned no results"})
            assert client.post(GENERATIONS, json=SMALL).status_code == 200
    finally:
        engine.stop()


def test_what_is_not_there_is_a_404_without_a_word(client: httpx.Client) -> None:
    answer = client.get("/v1/videos")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    ("fields", "files", "words"),
    [
        ({"prompt": "x"}, {"mask": FOX}, "at least one image[] required"),
        ({"size": "8x8"}, {"image": FOX}, "prompt required"),
        ({"prompt": "x", "output_format": "webp"}, {"image": FOX}, "invalid output_format, must be one of [png, jpeg]"),
    ],
)
def test_edits_are_refused_alike(
    client: httpx.Client, fields: dict[str, str], files: dict[str, Any], words: str
) -> None:
    answer = client.post(EDITS, data=fields, files=files)
    assert (answer.status_code, answer.json()) == (400, {"error": words})


def test_edits_are_multipart_only(client: httpx.Client) -> None:
    answer = client.post(EDITS, json=SMALL)
    assert (answer.status_code, answer.json()) == (400, {"error": "Content-Type must be multipart/form-data"})
