"""What means the same is taken: null for what is left out, a byte order mark, a coding that codes nothing, an alias."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import httpx
import pytest

from safelight.api.getimg.requests import ImageGenerationBody, VideoGenerationBody
from tests.contract.accounts import Account, Accounts
from tests.contract.bodies import IMAGES, PNG_URL, VIDEOS
from tests.references.files import jpeg

IMAGE: dict[str, Any] = {"model": "noop-image", "prompt": "A mountain at dawn"}
VIDEO: dict[str, Any] = {"model": "noop-video", "prompt": "Clouds over a peak"}
CALLS = [
    (IMAGES, ImageGenerationBody, IMAGE),
    (f"{IMAGES}/quote", ImageGenerationBody, IMAGE),
    (VIDEOS, VideoGenerationBody, VIDEO),
    (f"{VIDEOS}/quote", VideoGenerationBody, VIDEO),
]


@pytest.mark.parametrize(("path", "struct", "body"), CALLS, ids=[path for path, _, _ in CALLS])
def test_null_is_what_is_left_out(path: str, struct: Any, body: dict[str, Any], http: httpx.Client) -> None:
    """As clients of Go, .NET and pydantic write the fields that they leave out."""
    nulls = {name: None for name in struct.__struct_fields__ if name not in body}
    answer = http.post(path, json=body | nulls)
    assert answer.is_success, answer.text
    if path.endswith("/quote"):
        assert answer.json() == http.post(path, json=body).json()


def test_null_within_a_reference_is_what_is_left_out(http: httpx.Client) -> None:
    images = [{"url": PNG_URL, "role": None}]
    assert http.post(f"{IMAGES}/quote", json=IMAGE | {"images": images}).status_code == 200


@pytest.mark.parametrize("name", ["model", "prompt"])
def test_null_is_no_value_for_what_must_be_given(name: str, http: httpx.Client) -> None:
    error = http.post(IMAGES, json=IMAGE | {name: None}).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_parameter", name)


def test_a_byte_order_mark_is_passed_over(http: httpx.Client) -> None:
    assert http.post(IMAGES, content=json.dumps(IMAGE).encode("utf-8-sig")).status_code == 200


def test_a_whole_number_is_known_by_its_value(http: httpx.Client) -> None:
    body = json.dumps(VIDEO)[:-1] + ', "duration": 4.0, "retention_seconds": 36e2}'
    answer = http.post(f"{VIDEOS}/quote", content=body)
    assert (answer.status_code, answer.json()["duration"]) == (200, 4)


@pytest.mark.parametrize("coding", ["identity", "", "Identity", "aws-chunked", "identity, aws-chunked"])
def test_a_coding_that_codes_nothing(coding: str, http: httpx.Client) -> None:
    assert http.post(IMAGES, json=IMAGE, headers={"Content-Encoding": coding}).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "aws-chunked,gzip", "x" * 300])
def test_a_coding_that_is_not_taken(coding: str, http: httpx.Client, account: Account, accounts: Accounts) -> None:
    before = accounts.traces_at_rest(account)
    answer = http.post(IMAGES, content=gzip.compress(json.dumps(IMAGE).encode()), headers={"Content-Encoding": coding})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (415, "unsupported_content_encoding", None)
    assert coding.lower().split(",")[-1].strip()[:80] in error["message"]
    assert "without Content-Encoding" in error["message"]
    assert answer.headers["accept-encoding"] == "identity"  # RFC 9110, section 15.5.16
    assert "x-ratelimit-remaining" in answer.headers
    assert len(error["message"]) < 400
    assert accounts.traces(account) == before


@pytest.mark.parametrize("alias", ["image/jpg", "image/pjpeg", "IMAGE/JPG; charset=binary"])
def test_an_alias_of_a_type(alias: str, http: httpx.Client) -> None:
    url = f"data:{alias};base64,{base64.b64encode(jpeg()).decode()}"
    assert http.post(IMAGES, json=IMAGE | {"images": [{"url": url}]}).status_code == 200


@pytest.mark.parametrize("start", ["2026-05-01t00:00:00z", "2026-05-01T23:59:60Z", "2026-05-01T00:00:00.123456789Z"])
def test_every_way_to_write_a_time_of_rfc_3339(start: str, http: httpx.Client) -> None:
    answer = http.get("/v2/billing/costs", params={"start": start, "end": "2026-05-03T00:00:00Z"})
    assert answer.status_code == 200, answer.text
