"""``make shots``: pictures of every page of the dashboard and of the reference, in both themes, below ``build/shots/``.

A server with things to show is started for them: images and a video, a failure, refused requests, keys, webhooks.
The three that the README shows are written to ``docs/pictures/``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from bench.servers import COMMAND, BenchError, folder, safelight
from safelight.dashboard.menu import MENU

_ROOT = Path(__file__).parent.parent
SHOTS = _ROOT / "build/shots"
PICTURES = _ROOT / "docs/pictures"
_CHOSEN = ("playground-run-light", "gallery-dark", "job-image-light")
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_WIDE, _NARROW = ViewportSize(width=1280, height=800), ViewportSize(width=320, height=700)
_NARROW_TOO = ("overview", "playground", "gallery")
_PATIENCE_SECONDS = 900.0  # a busy machine draws slowly

_PROMPTS = (
    ("seedream-5-lite", "A watercolor painting of a mountain village at dawn", "16:9"),
    ("seedream-5-lite", "A lighthouse in fog, long exposure, black and white", "3:4"),
    ("gemini-3-1-flash-image", "An orange sailing boat on a calm sea at sunset", "16:9"),
    ("seedream-5-lite", "A botanical illustration of a fern", "9:16"),
    ("z-image-turbo", "City lights in the rain, seen through a window", "16:9"),
    ("z-image-turbo", "A geometric poster in blue and gold", "1:1"),
    ("gemini-3-1-flash-image", "A red kite over green hills", "16:9"),
    ("gemini-3-1-flash-image", "Desert dunes under a full moon", "4:3"),
)
_VIDEO = {
    "model": "seedance-v1-pro",
    "prompt": "A timelapse of clouds rolling over a mountain peak",
    "aspect_ratio": "16:9",
    "resolution": "480p",
    "duration": 5,
}
_REHEARSED = """
[[connections]]
name = "rehearsal"
kind = "chaos"

[[models]]
id = "rehearsal"
name = "Rehearsal of failures"
type = "video"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["16:9"]
resolutions = ["480p"]
durations = [5]
rates = [{ unit_price = "0.02" }]
sizes = { "480p" = { "16:9" = "854x480" } }
bindings = [{ connection = "rehearsal", options = { behaviour = "fails_later", times = -1, fails_as = "bad_input" } }]
"""
_BLOCKED = '[[rules]]\ncategory = "violence"\nterms = ["bloodbath"]\n'


class _Receiver(BaseHTTPRequestHandler):
    """Takes webhooks, but for those of one address, which it fails to take."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503 if self.path == "/down" else 204)
        self.end_headers()

    def log_message(self, *said: Any) -> None:
        pass


class _House:
    """A server, and those who order from it."""

    def __init__(self, base_url: str, data_dir: Path) -> None:
        self.base_url = base_url
        self.data_dir = data_dir
        self.key = (data_dir / "api-key").read_text().strip()

    def say(self, *arguments: str) -> str:
        """What a command of the operator's prints."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SAFELIGHT_")}
        settings = {"SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1", "SAFELIGHT_PUBLIC_URL": self.base_url}
        command = [COMMAND, *arguments, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=kept | settings).stdout.strip()

    def order(self, kind: str, body: Mapping[str, object], key: str | None = None) -> dict[str, Any]:
        """Order a generation, and wait for its end; what the API answers last, which may be a refusal."""
        with httpx.Client(
            base_url=self.base_url, headers={"authorization": f"Bearer {key or self.key}"}, timeout=300
        ) as client:
            answer = client.post(f"/v2/{kind}s/generations", json=body)
            told: dict[str, Any] = answer.json()
            give_up_at = time.monotonic() + _PATIENCE_SECONDS
            while told.get("status") == "pending":
                if time.monotonic() > give_up_at:
                    raise BenchError(f"{told['id']} has not ended in {_PATIENCE_SECONDS:g} s.")
                told = client.get(f"/v2/{kind}s/generations/{told['id']}", params={"wait": 20}).json()
            return told


def main() -> int:
    """Start, fill, and look at everything; the exit status."""
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    with folder() as base, _receiver() as receiver, _started(base) as house, sync_playwright() as playwright:
        print(f"Making something to show, at {house.base_url} ...")
        pages = _fill(house, receiver)
        program = shutil.which("chromium") or "/usr/bin/chromium"
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for theme in _THEMES:
            _shoot(browser, house, theme, pages)
        browser.close()
    _choose()
    print(f"{len(list(SHOTS.iterdir()))} pictures are in {SHOTS.relative_to(_ROOT)}/.")
    return 0


@contextlib.contextmanager
def _receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def _started(base: Path) -> Iterator[_House]:
    catalog, blocked = base / "catalog.toml", base / "blocklist.toml"
    catalog.write_text(resources.files("safelight").joinpath("catalog.toml").read_text() + _REHEARSED)
    blocked.write_text(_BLOCKED)
    settings = {
        "SAFELIGHT_CATALOG": str(catalog),
        "SAFELIGHT_MODERATION": "blocklist",
        "SAFELIGHT_MODERATION_BLOCKLIST": str(blocked),
        "SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1",
    }
    with safelight("up", base / "data", settings) as server:
        yield _House(server.base_url, base / "data")


def _fill(house: _House, receiver: str) -> dict[str, str]:
    """Make what there is to see; the pages that are about one thing, by their names: paths below ``/dashboard``."""
    house.say("webhooks", "create", f"{receiver}/hooks")
    house.say("webhooks", "create", f"{receiver}/down", "--events", "generation.failed")
    partner = house.say("keys", "create", "--name", "partner", "--spend-cap", "5", "--expires-days", "30", "--plain")
    house.say("keys", "create", "--name", "reports", "--role", "read", "--plain")
    house.say("keys", "create", "--name", "lead", "--role", "admin", "--plain")
    house.say("workspaces", "create", "studio")
    house.say("credit", "add", "studio", "25", "--reason", "Invoice 17")
    made = ""
    for number, (model, prompt, aspect_ratio) in enumerate(_PROMPTS):
        body = {"model": model, "prompt": prompt, "aspect_ratio": aspect_ratio, "resolution": "1K"}
        told = house.order("image", body, partner if number % 3 == 2 else None)
        if told.get("status") != "completed":
            raise BenchError(f"An image was not made: {told}")
        made = told["id"]
    video = house.order("video", _VIDEO)
    failed = house.order("video", {"model": "rehearsal", "prompt": "What never comes", "duration": 5})
    if failed.get("status") != "failed":
        raise BenchError(f"What was to fail is {failed}")
    house.order("image", {"model": "z-image-turbo", "prompt": "A bloodbath"})
    house.order("image", {"model": "z-image-turbo", "prompt": "A fern", "aspect_ratio": "100:1"})
    model = _PROMPTS[0][0]
    return {
        "job-image": f"/jobs/{made}",
        "job-video": f"/jobs/{video['id']}",
        "job-failed": f"/jobs/{failed['id']}",
        "refused": "/jobs/refused",
        "gallery-item": f"/gallery/{made}",
        "spend-proof": "/spend/proof",
        "model": f"/models/{model}",
        "key-new": "/keys/new",
        "key": "/keys/1",
        "sessions": "/keys/sessions",
        "webhook-new": "/webhooks/new",
        "webhook": "/webhooks/1",
        "delivery": "/webhooks/deliveries/1",
        "operator-workspace": "/operator/workspaces/default",
    }


def _shoot(browser: Browser, house: _House, theme: Literal["light", "dark"], pages: Mapping[str, str]) -> None:
    """Every page in one theme: the menu's, those about one thing, and those that are there for nobody known."""
    context = browser.new_context(base_url=house.base_url, color_scheme=theme, viewport=_WIDE)
    context.set_default_timeout(120_000)
    page = context.new_page()

    def take(name: str, path: str) -> None:
        answer = page.goto(path)
        if answer is None or not answer.ok:
            raise BenchError(f"{path} answered {answer and answer.status}.")
        _save(page, f"{name}-{theme}")

    take("login", "/dashboard/login")
    take("docs", "/docs")
    page.goto(house.say("dashboard"))
    page.get_by_role("heading", name="Overview").wait_for()
    menu = {item.path.strip("/").replace("/", "-") or "overview": item.path for _, each in MENU for item in each}
    for name, path in {**menu, **pages}.items():
        take(name, f"/dashboard{path}")
    page.goto("/dashboard/gallery")
    page.locator("a[data-item]:not([data-plays])").first.click()
    page.locator("dialog[open] img").first.wait_for()
    _save(page, f"lightbox-{theme}")
    _run(page)
    _save(page, f"playground-run-{theme}")
    page.set_viewport_size(_NARROW)
    for name in _NARROW_TOO:
        take(f"{name}-320", f"/dashboard{menu[name]}")
    context.close()


def _run(page: Page) -> None:
    """Make an image in the playground."""
    page.goto("/dashboard/playground?model=seedream-5-lite")
    page.get_by_label("Prompt", exact=True).fill(_PROMPTS[0][1])
    page.get_by_label("Prompt", exact=True).press("Control+Enter")
    page.locator(".run img").first.wait_for()
    page.get_by_label("Prompt", exact=True).blur()


def _save(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=SHOTS / f"{name}.png")
    print(f"  {name}")


def _choose() -> None:
    """Those that the README shows, as small files."""
    PICTURES.mkdir(exist_ok=True)
    for name in _CHOSEN:
        with Image.open(SHOTS / f"{name}.png") as picture:
            picture.convert("RGB").save(PICTURES / f"{name}.webp", quality=82, method=6)


if __name__ == "__main__":
    sys.exit(main())
