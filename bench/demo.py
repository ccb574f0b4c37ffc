"""``make demo``: an image and a video, made by a server on this machine for the official client, and saved.

The server keeps its data in a temporary folder, listens on a free port, and is stopped at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from getimg import GetimgAI, GetimgAIError

DEMO = Path(__file__).parent.parent / "demo"
_COMMAND = Path(sys.executable).with_name("safelight")
_READY_SECONDS = 60.0
_VIDEO_SECONDS = 900.0  # a busy machine draws slowly, and goes on drawing
_STOP_SECONDS = 15.0
_SEED = {"seed": 0}  # the same picture and clip each time, as the README shows them
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "video/mp4": "mp4"}


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def main() -> int:
    """Run the demo; its exit status."""
    DEMO.mkdir(exist_ok=True)
    begin = time.monotonic()
    try:
        with running_server() as (base_url, api_key):
            client = GetimgAI(base_url=base_url, api_key=api_key)
            make_image(client)
            make_video(client)
    except (DemoError, GetimgAIError, httpx.HTTPError, OSError) as error:
        print(f"The demo failed: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"\nDone in {time.monotonic() - begin:.0f} s. The server is stopped; look into {_short(DEMO)}/.")
    print("\nThe same in a browser: 'make up' starts a server that stays, and prints a link that lets you in at its")
    print("dashboard, once: http://127.0.0.1:8484/dashboard. 'safelight dashboard' prints another.")
    return 0


@contextlib.contextmanager
def running_server() -> Iterator[tuple[str, str]]:
    """``safelight up``, ready: its address and a key. Its output goes to ``demo/server.log``."""
    log_path = DEMO / "server.log"
    with tempfile.TemporaryDirectory(prefix="safelight-demo-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "data"
        port = _free_port()
        base_url = f"http://127.0.0.1:{port}"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SAFELIGHT_")}
        environment["SAFELIGHT_CONFIG"] = os.devnull
        print(f"Starting 'safelight up' on {base_url} ...")
        begin = time.monotonic()
        with log_path.open("wb") as log:
            server = subprocess.Popen(
                [_COMMAND, "up", "--data-dir", data_dir, "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            _wait_until_ready(server, base_url, log_path)
            print(f"Ready after {time.monotonic() - begin:.1f} s.")
            yield base_url, (data_dir / "api-key").read_text().strip()
        finally:
            _stop(server)


def make_image(client: GetimgAI) -> None:
    """An image, in one call."""
    print("\nAn image: client.images.generate(...)")
    begin = time.monotonic()
    made = client.images.generate(
        model="seedream-5-lite",
        prompt="A watercolor painting of a mountain village at dawn",
        aspect_ratio="16:9",
        resolution="2K",
        output_format="png",
        extra_body=_SEED,
    )
    _show(made.to_dict(mode="json"), begin)
    _save("image", made.to_dict(mode="json"))


def make_video(client: GetimgAI) -> None:
    """A video: accepted, polled until it is there."""
    print("\nA video: client.videos.generations.create(...), then retrieve(...) until it is completed")
    begin = time.monotonic()
    accepted = client.videos.generations.create(
        model="seedance-v1-pro",
        prompt="A timelapse of clouds rolling over a mountain peak",
        aspect_ratio="16:9",
        resolution="1080p",
        duration=10,
        sound=True,
        extra_body=_SEED,
    )
    _show(accepted.to_dict(mode="json"), begin)
    while True:
        made = client.videos.generations.retrieve(accepted.id).to_dict(mode="json")
        if made["status"] != "pending":
            break
        if time.monotonic() - begin > _VIDEO_SECONDS:
            raise DemoError(f"the video {accepted.id} was not there after {_VIDEO_SECONDS:g} s; see demo/server.log")
        time.sleep(0.5)
    _show(made, begin)
    if made["status"] != "completed":
        raise DemoError(f"the video {accepted.id} is {made['status']}; see demo/server.log")
    _save("video", made)


def _show(answer: dict[str, Any], begin: float) -> None:
    print(json.dumps(answer, indent=2))
    print(f"after {time.monotonic() - begin:.1f} s")


def _save(name: str, answer: dict[str, Any]) -> None:
    """Download with a plain GET, as the public examples do, and save what came."""
    (item,) = answer["data"]
    response = httpx.get(item["url"])
    if response.status_code != 200 or response.headers.get("content-type") != item["mime_type"]:
        raise DemoError(f"{item['url']} answered {response.status_code} {response.headers.get('content-type')}")
    path = DEMO / f"{name}.{_SUFFIXES[item['mime_type']]}"
    path.write_bytes(response.content)
    print(f"saved {_short(path)}, {len(response.content) / 1e6:.2f} MB, {item['width']}x{item['height']}")


def _wait_until_ready(server: subprocess.Popen[bytes], base_url: str, log_path: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise DemoError(f"the server ended at its start:\n{log_path.read_text(errors='replace').strip()}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{base_url}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise DemoError(f"the server was not ready after {_READY_SECONDS:g} s; see {_short(log_path)}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()  # its processes end with it
        server.wait()
        raise DemoError(f"the server did not stop within {_STOP_SECONDS:g} s") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main())
