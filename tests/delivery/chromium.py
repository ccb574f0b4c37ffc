"""A real browser at links: opened by themselves, in a page of somebody else's, and by that page's scripts."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def open_page() -> Iterator[Page]:
    """A blank page in a browser that resolves no other host."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM,
            args=["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield browser.new_page()
        browser.close()


@contextmanager
def open_origin() -> Iterator[str]:
    """A page of somebody else's, on loopback; its address."""

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
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def opened(page: Page, url: str) -> tuple[list[int], str, list[str]]:
    """A link opened by itself: the size of what is shown, the page's origin, and what the browser complains of."""
    complaints: list[str] = []

    def note(message: Any) -> None:
        complaints.append(message.text)

    page.on("console", note)
    try:
        page.goto(url)
        size = page.evaluate(_SIZE_OF_WHAT_IS_SHOWN)
        return size, page.evaluate("self.origin"), complaints
    finally:
        page.remove_listener("console", note)


def shown(page: Page, url: str) -> list[int]:
    """The size of an image in the page."""
    size: list[int] = page.evaluate(_SHOW, url)
    return size


def played(page: Page, url: str) -> dict[str, Any]:
    """What is found out about a video that is played and sought in the page."""
    facts: dict[str, Any] = page.evaluate(_PLAY, url)
    return facts


def fetched(page: Page, url: str, headers: Mapping[str, str] | None = None, **init: Any) -> dict[str, Any]:
    """What a script of the page gets: ``status``, ``headers``, and the body's bytes in ``body``."""
    answer: dict[str, Any] = page.evaluate(_FETCH, [url, {**init, "headers": dict(headers or {})}])
    return {**answer, "body": bytes(answer["body"])}


_SIZE_OF_WHAT_IS_SHOWN = """
async () => {
    const image = document.querySelector("img");
    if (image) {
        await image.decode();
        return [image.naturalWidth, image.naturalHeight];
    }
    const video = document.querySelector("video");
    await new Promise((resolve, reject) => {
        const failed = () => reject(new Error(video.error ? video.error.message : "no source"));
        if (video.readyState >= 2) resolve();
        if (video.error || video.networkState === video.NETWORK_NO_SOURCE) failed();
        video.addEventListener("loadeddata", resolve);
        video.addEventListener("error", failed);
        video.querySelectorAll("source").forEach((source) => source.addEventListener("error", failed));
    });
    return [video.videoWidth, video.videoHeight];
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
_FETCH = """
async ([url, init]) => {
    const answer = await fetch(url, { cache: "no-store", ...init });
    const body = [...new Uint8Array(await answer.arrayBuffer())];
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body };
}
"""
