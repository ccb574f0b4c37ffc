"""From ``safelight up`` on a terminal to an image in a browser, with nothing but the link that it prints."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.servers import COMMAND, BenchError, free_port

PROMPT = "A watercolor painting of a mountain village at dawn"
_LINK = re.compile(rb"dashboard\s+(http://\S+/dashboard/login#[\w-]+)")
_PATIENCE_SECONDS = 120.0
_STOP_SECONDS = 20.0


@contextlib.contextmanager
def up_on_a_terminal(data_dir: Path) -> Iterator[str]:
    """``safelight up`` on a terminal of its own: the link that it prints there. It is stopped as by Ctrl-C."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAFELIGHT_")}
    shown, ours = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "up", "--data-dir", str(data_dir), "--port", str(free_port())],
        stdin=ours,
        stdout=ours,
        stderr=ours,
        env={**kept, "TERM": "xterm"},
        cwd=data_dir.parent,
        start_new_session=True,
    )
    os.close(ours)
    try:
        yield _link_on(shown)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(shown)


def _link_on(terminal: int) -> str:
    told, give_up_at = b"", time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                told += os.read(terminal, 65536)
            except OSError:  # how a terminal ends
                break
        if found := _LINK.search(told):
            return found[1].decode()
    raise BenchError(f"No link was printed:\n{told.decode(errors='replace')[-2000:]}")


def make_image(page: Page, link: str) -> str:
    """Follow the link, and make an image in the playground: its address."""
    page.goto(link)
    page.get_by_role("link", name="Playground", exact=True).click()
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    page.get_by_role("button", name="Run").click()
    image = page.locator("article.run img.result")
    image.wait_for()
    return str(image.evaluate("each => each.decode().then(() => each.src)"))


def first_image_seconds(data_dir: Path) -> float:
    """How long all of it takes on an empty data folder."""
    began = time.monotonic()
    with up_on_a_terminal(data_dir) as link, sync_playwright() as playwright:
        program = shutil.which("chromium") or "/usr/bin/chromium"
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(_PATIENCE_SECONDS * 1000)
        make_image(page, link)
        taken = time.monotonic() - began
        browser.close()
    return taken
