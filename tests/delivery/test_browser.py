"""Links where people open them: by themselves in Chromium, in pages of another origin, and from their scripts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.delivery import chromium
from tests.delivery.house import House, Planted

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed")

CONTENT = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def video(house: House) -> dict[str, Any]:
    made = house.video("scene", "a lighthouse in a storm")
    assert made["status"] == "completed", made
    file: dict[str, Any] = made["data"][0]
    return file


@pytest.fixture(scope="module")
def planted(house: House) -> Planted:
    return house.plant(CONTENT)


def test_a_video_plays_and_seeks_in_a_page(page: Page, origin: str, video: dict[str, Any]) -> None:
    page.goto(origin)
    facts = chromium.played(page, video["url"])
    assert (facts["width"], facts["height"]) == (video["width"], video["height"]) == (480, 270)
    assert facts["duration"] == pytest.approx(4, abs=0.1) and facts["played"]
    assert facts["currentTime"] == pytest.approx(3, abs=0.05)
    assert facts["readyState"] >= 2, "the frame that was sought is there"
    assert facts["pixels"] > 0, "and may be read: CORS allows it"
    assert chromium.shown(page, video["thumbnail_url"]) == [480, 270]


def test_a_video_opened_by_itself_plays(page: Page, video: dict[str, Any]) -> None:
    for url in (video["url"], f"{video['url']}&utm_source=mail"):
        assert chromium.opened(page, url) == ([480, 270], "null", []), "sandboxed: it has no origin"
    assert chromium.opened(page, video["thumbnail_url"]) == ([480, 270], "null", [])


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_an_image_is_shown_by_itself_and_in_a_page(output_format: str, house: House, page: Page, origin: str) -> None:
    (file,) = house.image(output_format=output_format)["data"]
    for url in (file["url"], file["thumbnail_url"]):
        assert chromium.opened(page, url) == ([64, 64], "null", [])
    page.goto(origin)
    for url in (file["url"], file["thumbnail_url"]):
        assert chromium.shown(page, url) == [64, 64]
        assert chromium.fetched(page, url)["body"] == house.get(url).content


def test_a_script_of_another_origin_asks_as_it_likes(planted: Planted, page: Page, origin: str) -> None:
    """Each of these is sent only after a preflight."""
    page.goto(origin)
    tag, stale, whole = planted.etag, '"stale"', (200, CONTENT)
    asked: list[tuple[dict[str, str], tuple[int, bytes]]] = [
        ({}, whole),
        ({"Range": "bytes=-7"}, (206, CONTENT[-7:])),
        ({"Range": "bytes=5-"}, (206, CONTENT[5:])),
        ({"If-None-Match": tag}, (304, b"")),
        ({"If-None-Match": stale}, whole),
        ({"If-Match": stale}, (412, b"")),
        ({"Range": "bytes=0-3", "If-Range": tag}, (206, CONTENT[:4])),
        ({"Range": "bytes=0-3", "If-Range": stale}, whole),
        ({"Cache-Control": "no-cache", "Pragma": "no-cache"}, whole),
        ({"Authorization": "Bearer sk_of_somewhere_else"}, whole),
        ({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-Requested-With": "x"}, whole),
    ]
    for headers, expected in asked:
        answer = chromium.fetched(page, planted.url, headers)
        assert (answer["status"], answer["body"]) == expected, headers
        assert answer["headers"]["etag"] == tag
    several = chromium.fetched(page, planted.url, {"Range": "bytes=0-3, 100-102"})
    assert several["status"] == 206
    assert several["headers"]["content-type"].startswith("multipart/byteranges; boundary=")
    part = chromium.fetched(page, planted.url, {"Range": "bytes=-7"})["headers"]
    assert part["content-range"] == f"bytes {len(CONTENT) - 7}-{len(CONTENT) - 1}/{len(CONTENT)}"
    headed = chromium.fetched(page, planted.url, method="HEAD")
    assert (headed["status"], headed["body"], headed["headers"]["content-length"]) == (200, b"", str(len(CONTENT)))
    assert {"accept-ranges", "content-disposition", "x-request-id"} <= set(headed["headers"])


def test_a_script_of_another_origin_reads_every_error(house: House, planted: Planted, page: Page, origin: str) -> None:
    page.goto(origin)
    late = house.link(planted.id, 0, int(time.time()) - 1)
    for url, init, status, code in (
        (planted.url[:-4], {}, 403, "invalid_signature"),
        (f"{house.server.base_url}/v2/downloads/nothing", {}, 403, "invalid_signature"),
        (late, {}, 410, "download_expired"),
        (planted.url, {"method": "POST"}, 405, "method_not_allowed"),
    ):
        answer = chromium.fetched(page, url, **init)
        assert answer["status"] == status and f'"code":"{code}"'.encode() in answer["body"], (status, answer)
        assert "x-request-id" in answer["headers"]
    beyond = chromium.fetched(page, planted.url, {"Range": "bytes=999999-"})
    assert (beyond["status"], beyond["headers"]["content-range"]) == (416, f"bytes */{len(CONTENT)}")


def test_credentials_are_not_for_links(planted: Planted, page: Page, origin: str) -> None:
    page.goto(origin)
    with pytest.raises(Exception, match="Failed to fetch"):
        chromium.fetched(page, planted.url, credentials="include")


def test_no_other_answer_is_for_scripts_of_other_origins(house: House, page: Page, origin: str) -> None:
    page.goto(origin)
    for path in ("/v2/models", "/healthz", "/v2/downloadsx", "/openapi.json"):
        with pytest.raises(Exception, match="Failed to fetch"):
            chromium.fetched(page, f"{house.server.base_url}{path}")
