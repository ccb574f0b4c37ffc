"""Each parameter that is wrong is named, in JSON and in a form, and nothing is made."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from safelight.api.openai.images import NOT_TAKEN, EditBody
from tests.money.shop import Shop
from tests.openai_dialect.test_official_client import PROMPT, picture
from tests.support.server import Server
from tests.support.tenants import Tenant

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
PNG = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"

WRONG_VALUES: list[tuple[str, list[Any]]] = [
    ("prompt", ["", "   ", "a" * 4097, 3, None, ["a"]]),
    ("model", ["", "nothing", "clip", "sora-2", 3, "a" * 101]),
    ("n", [0, 11, -1, 1.5, "4", True, 10**30]),
    ("size", ["", "big", "0x0", "1024", 1024]),
    ("quality", ["best", "", 1]),
    ("background", ["transparent", "red", 1]),
    ("output_format", ["gif", "svg", "jpg", "", 1]),
    ("output_compression", [-1, 101, "50"]),
    ("response_format", ["b64", "bytes", 1]),
    ("stream", ["true", 1]),
    ("partial_images", [-1, 4, "1"]),
    ("user", [3, "a" * 513]),
    ("safety_identifier", [3, "a" * 513]),
    ("moderation", [1]),
    ("style", [1]),
    ("input_fidelity", [1]),
    ("complexity", [1]),
    ("aspect_ratio", ["1:2", "1x1", 1]),
    ("resolution", ["9K", 1]),
    ("seed", [-1, 2**32, "7", 1.5]),
    ("negative_prompt", [3, "a" * 4097]),
    ("provider_options", ["steps", {"unknown": 1}, []]),
    ("retention_seconds", [0, 59, 10**9, "3600"]),
    ("store", ["no", 0]),
    ("webhook_url", ["", "http://example.com", "ftp://x", 1]),
    ("mask", ["x", {"image_url": "x"}]),
    ("markup", ["x"]),
    ("svg", [{"model": "x"}, "x"]),
    ("frame_count", [9]),
    ("frame_duration_ms", [200]),
    ("images_of", [1]),
    ("Prompt", ["a hill"]),
]
WRONG = [(param, value) for param, values in WRONG_VALUES for value in values]

WRONG_TEXTS = [
    ("n", "0"),
    ("n", "4.0"),
    ("n", "four"),
    ("n", ""),
    ("n", "9" * 60),
    ("n", "٤"),
    ("stream", "True"),
    ("stream", "1"),
    ("store", "no"),
    ("seed", "-1"),
    ("seed", "0x7"),
    ("provider_options", "{"),
    ("provider_options", "[1]"),
    ("provider_options[unknown]", "1"),
    ("unknown", "1"),
    ("unknown[a]", "1"),
    ("prompt", ""),
    ("size", "big"),
    ("mask", "x"),
]


@pytest.fixture(autouse=True)
async def _nothing_is_made(shop: Shop, customer: Tenant) -> AsyncIterator[None]:
    yield
    assert await shop.count(customer) == 0
    assert (await shop.account(customer)).available_nanos == 10_000_000_000


def check(answer: httpx.Response, param: str | None) -> str:
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param), error
    assert error["code"] in ("invalid_parameter", "parameter_missing")
    message: str = error["message"]
    return message


@pytest.mark.parametrize(("param", "value"), WRONG)
async def test_a_wrong_value_is_named(param: str, value: Any, http: httpx.AsyncClient) -> None:
    body = {"model": "still", "prompt": PROMPT, param: value}
    named = f"{param}.unknown" if value == {"unknown": 1} else param
    check(await http.post(GENERATIONS, json=body), named)
    check(await http.post(EDITS, json={"image": PNG, **body}), named)


@pytest.mark.parametrize(("param", "text"), WRONG_TEXTS)
async def test_a_wrong_text_in_a_form_is_named(param: str, text: str, http: httpx.AsyncClient) -> None:
    form = {"model": "still", "prompt": PROMPT, param: text}
    named = "provider_options.unknown" if param.startswith("provider_options[") else param
    check(await http.post(EDITS, data=form, files={"image": picture()}), named)


async def test_what_is_missing(http: httpx.AsyncClient) -> None:
    assert "required" in check(await http.post(GENERATIONS, json={"model": "still"}), "prompt")
    assert "a file" in check(await http.post(EDITS, json={"prompt": PROMPT}), "image")
    assert "a file" in check(await http.post(EDITS, json={"prompt": PROMPT, "image": []}), "image")
    check(await http.post(EDITS, data={"model": "still"}, files={"image": picture()}), "prompt")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"image": "https://"}, "image"),
        ({"image": "data:image/png;base64,AAAA"}, "image"),
        ({"image": base64.b64encode(b"\x89PNG" * 40).decode()}, "image"),
        ({"images": [PNG, "data:text/plain;base64,AAAA"]}, "images"),
        ({"images": [{"image_url": "http://127.0.0.1/x.png"}]}, "images"),
        ({"images": [{"file_id": "file-1"}]}, "images[0].file_id"),
        ({"images": [3]}, "images[0]"),
        ({"image": PNG, "images": [PNG]}, "image"),
        ({"image": [PNG] * 5}, "image"),
        ({"image": PNG, "model": "plain"}, "image"),
    ],
)
async def test_wrong_pictures_in_json(body: dict[str, Any], param: str, http: httpx.AsyncClient) -> None:
    check(await http.post(EDITS, json={"model": "still", "prompt": PROMPT, **body}), param)


@pytest.mark.parametrize(
    ("files", "param"),
    [
        ([("image", b"no picture")], "image"),
        ([("image", b"")], "image"),
        ([("image", picture()[:60])], "image"),
        ([("image", picture("GIF"))], "image"),
        ([("image[]", picture())] * 5, "image"),
        ([("image[]", picture())] * 9, "image"),
        ([("image", picture()), ("mask", picture())], "mask"),
        ([("image", picture()), ("picture", picture())], "picture"),
    ],
)
async def test_wrong_files(files: list[tuple[str, bytes]], param: str, http: httpx.AsyncClient) -> None:
    sent = [(name, ("boat.png", data, "image/png")) for name, data in files]
    message = check(await http.post(EDITS, data={"model": "still", "prompt": PROMPT}, files=sent), param)
    assert "aspect_ratio" not in message
    if param != "picture":
        check(await http.post(EDITS, data={"prompt": PROMPT}, files=sent), param)


async def test_a_seed_for_several_pictures_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(GENERATIONS, json={"model": "still", "prompt": PROMPT, "seed": 7, "n": 2})
    assert "Leave seed out, or make one" in check(answer, "seed")


async def test_no_error_of_a_size_is_one_of_a_ratio(http: httpx.AsyncClient) -> None:
    for body in ({"size": "big"}, {"size": "1x1", "aspect_ratio": "1:1"}, {"size": "1x1", "resolution": "1K"}):
        check(await http.post(GENERATIONS, json={"model": "still", "prompt": PROMPT, **body}), "size")


async def test_bodies_that_are_none(http: httpx.AsyncClient) -> None:
    for content in (b"", b"{", b"[]", b'{"n":1,"n":2}', b"\xff", json.dumps({"prompt": "a\0"}).encode()):
        answer = await http.post(GENERATIONS, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400, content
    cut = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na hill'
    for content in (b"", b"x", cut):
        for headers in ({"content-type": "multipart/form-data; boundary=b"}, {"content-type": "multipart/form-data"}):
            assert (await http.post(EDITS, content=content, headers=headers)).status_code == 400


async def test_other_addresses_and_methods(http: httpx.AsyncClient, server: Server) -> None:
    assert (await http.get(GENERATIONS)).status_code == 405
    for path in ("/v1/images", "/v1/chat/completions", "/v1/images/variations"):
        answer = await http.post(path, json={"model": "still", "prompt": PROMPT})
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
    async with httpx.AsyncClient(base_url=server.base_url) as nobody:
        for path in (GENERATIONS, EDITS, "/v1/images/variations"):
            answer = await nobody.post(path, json={"prompt": PROMPT})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert (await nobody.get("/v1/models")).status_code == 401


async def test_null_is_as_good_as_left_out(http: httpx.AsyncClient, shop: Shop) -> None:
    rich = await shop.customer("1")
    fields = [param for param, _ in WRONG_VALUES if param not in ("prompt", "images_of", "Prompt")]
    body = {"prompt": PROMPT, **dict.fromkeys(fields)}
    for path, more in ((GENERATIONS, {}), (EDITS, {"images": [PNG], "image": None})):
        answer = await http.post(path, json={**body, **more}, headers=rich.headers)
        assert answer.status_code == 200, answer.text


def test_each_parameter_is_in_the_table() -> None:
    """``WRONG_VALUES`` has all that a body takes or refuses by name, and the page tells of each."""
    names = {*EditBody.__struct_fields__, *NOT_TAKEN}
    assert names - {"image", "images"} <= {param for param, _ in WRONG_VALUES}
    page = Path(__file__).parents[2].joinpath("docs", "openai.md").read_text()
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
