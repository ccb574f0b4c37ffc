"""What an answer says, held against the file that it links to, on the built-in renderer."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import av
import httpx
import pytest
import pyvips

from tests.contract.bodies import IMAGES, VIDEOS
from tests.support.server import Server, eventually

GENERATION_ID = re.compile(r"req-[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
WEEK_SECONDS = 7 * 86400
get = partial(httpx.get, verify=False)  # plain HTTP: reading the machine's certificates would take longer than all else


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, headers=server.headers, timeout=90) as client:
        yield client


def _read(answer: httpx.Response) -> Any:
    """JSON with its numbers as they are written."""
    return json.loads(answer.content, parse_float=Decimal)


@pytest.fixture(scope="module")
def images(http: httpx.Client) -> dict[str, httpx.Response]:
    """One image in each format."""
    asked: dict[str, dict[str, Any]] = {
        "png": {"model": "z-image-turbo", "aspect_ratio": "3:2", "output_format": "png"},
        "jpeg": {"model": "z-image-turbo", "aspect_ratio": "9:16"},
        "webp": {"model": "z-image-turbo", "output_format": "webp"},
    }
    return {name: http.post(IMAGES, json={"prompt": f"{name} sea", **body}) for name, body in asked.items()}


@pytest.fixture(scope="module")
def video(http: httpx.Client) -> httpx.Response:
    """A completed video with sound."""
    body = {
        "model": "seedance-v1-5-pro",
        "prompt": "Clouds over a peak",
        "aspect_ratio": "1:1",
        "resolution": "480p",
        "duration": 4,
        "sound": True,
    }
    accepted = http.post(VIDEOS, json=body)
    assert accepted.status_code == 202
    assert list(accepted.json().items()) == [("id", accepted.json()["id"]), ("status", "pending")]
    url = f"{VIDEOS}/{accepted.json()['id']}"
    eventually(lambda: http.get(url).json()["status"] != "pending", "the video is made")
    return http.get(url)


def _check_frame_of_answer(answer: Any, model: str) -> None:
    assert list(answer) == ["id", "status", "model", "data", "usage", "seed"]
    assert 0 <= answer["seed"] < 2**32, "the one that the renderer used"
    assert GENERATION_ID.fullmatch(answer["id"])
    assert (answer["status"], answer["model"]) == ("completed", model)
    assert len(answer["data"]) == 1
    assert list(answer["usage"]) == ["total_cost", "billable_unit", "unit_price", "quantity"]


def _check_link(item: Any, base_url: str) -> None:
    """Absolute, signed, and good until the very second at which the file is deleted."""
    assert item["url"].startswith(f"{base_url}/v2/downloads/req-")
    query = dict(parse_qsl(urlsplit(item["url"]).query))
    assert list(query) == ["exp", "sig"]
    assert MOMENT.fullmatch(item["deletes_at"])
    deletes_at = datetime.fromisoformat(item["deletes_at"])
    assert deletes_at.timestamp() == int(query["exp"])
    assert 0 < deletes_at.timestamp() - datetime.now(UTC).timestamp() <= WEEK_SECONDS


@pytest.mark.parametrize(
    ("output_format", "loader", "size"),
    [("png", "pngload", (1248, 832)), ("jpeg", "jpegload", (768, 1360)), ("webp", "webpload", (1024, 1024))],
)
def test_an_image(
    output_format: str, loader: str, size: tuple[int, int], images: dict[str, httpx.Response], server: Server
) -> None:
    response = images[output_format]
    assert response.status_code == 200
    answer = _read(response)
    _check_frame_of_answer(answer, "z-image-turbo")
    item = answer["data"][0]
    assert list(item) == ["url", "width", "height", "mime_type", "deletes_at", "thumbnail_url"]
    assert item["mime_type"] == f"image/{output_format}"
    _check_link(item, server.base_url)
    file = get(item["url"])
    assert file.status_code == 200
    assert file.headers["content-type"] == item["mime_type"]
    picture = pyvips.Image.new_from_buffer(file.content, "")
    assert str(picture.get("vips-loader")).startswith(loader)
    assert (picture.width, picture.height) == (item["width"], item["height"]) == size


def test_thumbnails(images: dict[str, httpx.Response], video: httpx.Response) -> None:
    for answer in (images["jpeg"], video):
        item = answer.json()["data"][0]
        assert urlsplit(item["thumbnail_url"]).path == f"{urlsplit(item['url']).path}/thumbnail"
        file = get(item["thumbnail_url"])
        assert (file.status_code, file.headers["content-type"]) == (200, "image/webp")
        picture = pyvips.Image.new_from_buffer(file.content, "")
        assert max(picture.width, picture.height) <= 512
        assert picture.width / picture.height == pytest.approx(item["width"] / item["height"], rel=0.02)


def test_usage_of_an_image_is_exact(images: dict[str, httpx.Response]) -> None:
    seed = images["png"].json()["seed"]
    assert images["png"].text.endswith(
        f'"usage":{{"total_cost":0.005,"billable_unit":"image","unit_price":0.005,"quantity":1}},"seed":{seed}}}'
    )


def test_an_image_can_be_asked_for_again(images: dict[str, httpx.Response], http: httpx.Client) -> None:
    made = images["png"]
    again = http.get(f"{IMAGES}/{made.json()['id']}")
    assert (again.status_code, again.content) == (200, made.content)


def test_a_video(video: httpx.Response, server: Server) -> None:
    answer = _read(video)
    _check_frame_of_answer(answer, "seedance-v1-5-pro")
    item = answer["data"][0]
    fields = ["url", "width", "height", "mime_type", "deletes_at", "duration", "fps", "has_sound", "thumbnail_url"]
    assert list(item) == fields
    assert item["mime_type"] == "video/mp4"
    _check_link(item, server.base_url)
    file = get(item["url"])
    assert file.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(file.content)) as clip:
        stream = clip.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (item["width"], item["height"])
        assert (item["width"], item["height"]) == (480, 480)
        assert float(item["fps"]) == pytest.approx(float(stream.average_rate), abs=0.001)
        assert float(item["duration"]) == pytest.approx(float(stream.duration * stream.time_base), abs=0.05)
        assert item["has_sound"] is bool(clip.streams.audio) is True


def test_usage_of_a_video_is_exact(video: httpx.Response) -> None:
    assert _read(video)["usage"] == {
        "total_cost": Decimal("0.096"),
        "billable_unit": "video_second",
        "unit_price": Decimal("0.024"),
        "quantity": 4,
    }


def test_rate_limits_are_told(images: dict[str, httpx.Response], video: httpx.Response, http: httpx.Client) -> None:
    now = datetime.now(UTC).timestamp()
    absent = http.get(f"{VIDEOS}/req-00000000000000000000000000")
    refused = http.post(VIDEOS, json={})
    for answer, limit in ((images["png"], 600), (video, 120), (absent, 120), (refused, 120)):
        assert int(answer.headers["x-ratelimit-limit"]) == limit
        assert 0 <= int(answer.headers["x-ratelimit-remaining"]) <= limit
        assert abs(int(answer.headers["x-ratelimit-reset"]) - now) <= 300
    assert int(images["webp"].headers["x-ratelimit-remaining"]) < 600


def test_a_download_without_key_or_redirect(images: dict[str, httpx.Response]) -> None:
    url = images["png"].json()["data"][0]["url"]
    whole = httpx.get(url, follow_redirects=False)
    assert whole.status_code == 200
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert whole.headers["etag"].strip('"') == hashlib.sha256(whole.content).hexdigest()
    head = httpx.head(url)
    assert (head.status_code, head.content) == (200, b"")
    told = set(whole.headers) - {"date", "x-request-id", "cache-control"}
    assert {name: head.headers[name] for name in told} == {name: whole.headers[name] for name in told}


def test_a_download_in_part(images: dict[str, httpx.Response]) -> None:
    url = images["png"].json()["data"][0]["url"]
    whole = get(url)
    etag, size = whole.headers["etag"], len(whole.content)
    assert whole.headers["accept-ranges"] == "bytes"
    part = get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{size}"
    assert get(url, headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert get(url, headers={"Range": "bytes=0-4", "If-Range": etag}).status_code == 206
    assert get(url, headers={"Range": "bytes=0-4", "If-Range": '"another"'}).status_code == 200
    past = get(url, headers={"Range": f"bytes={size}-"})
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{size}")
    assert get(url, headers={"Range": "pages=1-2"}).status_code == 200
    unchanged = get(url, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    several = get(url, headers={"Range": "bytes=0-1,10-11"})
    assert several.status_code == 206
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")


def test_a_download_protects_whoever_opens_it(images: dict[str, httpx.Response]) -> None:
    headers = get(images["png"].json()["data"][0]["url"]).headers
    assert headers["x-content-type-options"] == "nosniff"
    policy = {name: sources for name, *sources in map(str.split, headers["content-security-policy"].split(";"))}
    # The page that a browser makes around a link plays it, and lays it out; it runs nothing and reaches nothing else.
    assert policy == {
        "default-src": ["'none'"],
        "media-src": ["'self'"],
        "style-src": ["'unsafe-inline'"],
        "sandbox": [],
    }
    assert headers["referrer-policy"] == "no-referrer"
    assert re.fullmatch(r'inline; filename="req-[0-9A-Z]{26}-?0?\.png"', headers["content-disposition"])
    private, max_age = headers["cache-control"].split(", max-age=")
    assert private == "private"
    assert 0 < int(max_age) <= WEEK_SECONDS
    assert headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.replace("exp=1", "exp=2"),
        lambda url: url.replace("/0?", "/1?"),
        lambda url: url.partition("&")[0],
        lambda url: f"{url}&sig={'0' * 64}",
        lambda url: url.replace("req-0", "req-1"),
        lambda url: re.sub("sig=.*", lambda match: match[0].upper().replace("SIG", "sig"), url),
    ],
    ids=["sig", "exp", "index", "no sig", "two sigs", "id", "capitals"],
)
def test_a_changed_link_is_refused_alike(change: Any, images: dict[str, httpx.Response]) -> None:
    url = images["png"].json()["data"][0]["url"]
    refused = get(change(url))
    nowhere = get(f"{url.partition('/v2/')[0]}/v2/downloads/req-{'0' * 26}/0?exp=1999999999&sig={'0' * 64}")
    assert refused.status_code == nowhere.status_code == 403
    assert refused.json() == nowhere.json()
    assert refused.json()["error"]["code"] == "invalid_signature"
