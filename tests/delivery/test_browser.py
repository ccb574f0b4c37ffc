"""A video from a signed link plays and seeks in Chromium, on a page of another origin."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.delivery.house import House

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A blank page in a browser that resolves no other host."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield browser.new_page()
        browser.close()


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A page of somebody else's, on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>an application</title><body></body>"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


_PLAY = """
async (url) => {
    const video = document.createElement("video");
    video.muted = true;
    video.crossOrigin = "anonymous";
    document.body.append(video);
    const event = (name) => new Promise((resolve, reject) => {
        video.addEventListener(name, resolve, { once: true });
        video.addEventListener("error", () => reject(new Error(video.error.message)), { once: true });
    });
    const ready = event("canplaythrough");
    video.src = url;
    await ready;
    const facts = { width: video.videoWidth, height: video.videoHeight, duration: video.duration };
    await video.play();
    await event("timeupdate");
    video.pause();
    facts.played = video.currentTime > 0 && video.played.length > 0;
    const sought = event("seeked");
    video.currentTime = 3;
    await sought;
    facts.currentTime = video.currentTime;
    facts.readyState = video.readyState;
    const canvas = document.createElement("canvas");
    canvas.width = facts.width;
    canvas.height = facts.height;
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    facts.pixels = context.getImageData(0, 0, facts.width, facts.height).data.reduce((sum, value) => sum + value, 0);
    return facts;
}
"""
_SHOW = """
async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}
"""


def test_a_video_plays_and_seeks(house: House, page: Page, origin: str) -> None:
    made = house.video("scene", "a lighthouse in a storm")
    assert made["status"] == "completed", made
    (file,) = made["data"]
    page.goto(origin)
    facts = page.evaluate(_PLAY, file["url"])
    assert (facts["width"], facts["height"]) == (file["width"], file["height"]) == (480, 270)
    assert facts["duration"] == pytest.approx(4, abs=0.1) and facts["played"]
    assert facts["currentTime"] == pytest.approx(3, abs=0.05)
    assert facts["readyState"] >= 2, "the frame that was sought is there"
    assert facts["pixels"] > 0, "and may be read: CORS allows it"
    assert page.evaluate(_SHOW, file["thumbnail_url"]) == [480, 270]


def test_an_image_is_shown(house: House, page: Page, origin: str) -> None:
    page.goto(origin)
    for output_format in ("png", "jpeg", "webp"):
        (file,) = house.image(output_format=output_format)["data"]
        assert page.evaluate(_SHOW, file["url"]) == [64, 64]
