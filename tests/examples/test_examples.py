"""Every file of examples/ does what it says, against a real server. The test of ``a_file.py`` is ``test_a_file_py``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import av
import httpx
import pyvips
from standardwebhooks.webhooks import Webhook

from tests.support.server import PATIENCE_SECONDS, Server, clean_environment, eventually, free_port, safelight

EXAMPLES = Path(__file__).parents[2] / "examples"

Start = Callable[..., Server]


def test_every_file_has_a_test() -> None:
    names = {f"test_{path.name.replace('.', '_')}" for path in EXAMPLES.iterdir() if path.is_file()}
    assert names, "there are no examples"
    assert names <= set(globals())


def run(name: str, server: Server, folder: Path) -> str:
    """What an example prints, run in a folder of its own with the address and the key in its environment."""
    command = {".py": sys.executable, ".sh": "sh"}[Path(name).suffix]
    done = subprocess.run(
        [command, str(EXAMPLES / name)],
        cwd=folder,
        env=clean_environment({"GETIMG_AI_BASE_URL": server.base_url, "GETIMG_API_KEY": server.key}),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def picture(path: Path) -> tuple[str, int, int]:
    """The format, the width and the height that libvips finds in a file."""
    image = pyvips.Image.new_from_file(str(path))
    return str(image.get("vips-loader")).removesuffix("load"), image.width, image.height


def get(server: Server, path: str, **options: Any) -> Any:
    answer = httpx.get(f"{server.base_url}{path}", headers=server.headers, timeout=PATIENCE_SECONDS, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_image_py(server: Server, tmp_path: Path) -> None:
    printed = run("image.py", server, tmp_path)
    assert printed.startswith("image.png: 1360x768, 0.03 USD")
    assert picture(tmp_path / "image.png") == ("png", 1360, 768)


def test_image_sh(server: Server, tmp_path: Path) -> None:
    printed = run("image.sh", server, tmp_path)
    assert json.loads(printed)["data"][0]["mime_type"] == "image/webp"
    assert picture(tmp_path / "image.webp") == ("webp", 1024, 1024)


def test_image_sh_says_what_is_wrong(server: Server, tmp_path: Path) -> None:
    answer = subprocess.run(
        ["sh", str(EXAMPLES / "image.sh")],
        cwd=tmp_path,
        env=clean_environment({"GETIMG_AI_BASE_URL": server.base_url, "GETIMG_API_KEY": "sk_wrong"}),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert answer.returncode == 1
    assert "invalid_api_key" in answer.stderr
    assert not list(tmp_path.iterdir())


def test_video_py(server: Server, tmp_path: Path) -> None:
    printed = run("video.py", server, tmp_path)
    assert "video.mp4: 864x480, 4 s, 0.096 USD" in printed
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert len(container.streams.audio) == 1
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (864, 480)
        assert round(float(stream.duration * stream.time_base)) == 4


def test_idempotent_py(server: Server, tmp_path: Path) -> None:
    before, made = get(server, "/v2/billing/balance")["balance"], made_ids(server)
    printed = run("idempotent.py", server, tmp_path)
    after = get(server, "/v2/billing/balance")["balance"]
    assert "The answer was lost." in printed
    assert f"cost 0.03 USD; the balance went from {before} to {after} USD" in printed
    assert Decimal(before) - Decimal(after) == Decimal("0.03")
    assert len(made_ids(server) - made) == 1
    assert picture(tmp_path / "sailboat.jpeg") == ("jpeg", 1024, 1024)


def made_ids(server: Server) -> set[str]:
    return {entry["id"] for entry in get(server, "/v2/generations", params={"limit": 100})["data"]}


CATALOG = {"SAFELIGHT_CATALOG": str(EXAMPLES / "catalog.toml"), "SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1"}


def test_catalog_toml(fresh_server: Start, tmp_path: Path) -> None:
    server = fresh_server(env=CATALOG).wait_until_ready()
    (model,) = get(server, "/v2/models")
    assert (model["id"], model["name"]) == ("house-sketch", "House sketch")
    small, large = make(server), make(server, resolution="large", aspect_ratio="1:1")
    assert [generation["usage"]["total_cost"] for generation in (small, large)] == [0.002, 0.01]
    for generation, size in ((small, (480, 320)), (large, (1200, 1200))):
        path = tmp_path / "made"
        path.write_bytes(httpx.get(generation["data"][0]["url"]).content)
        assert picture(path) == ("jpeg", *size)


def make(server: Server, **options: str) -> Any:
    """An image of the catalog's model, as the API answers it."""
    answer = httpx.post(
        f"{server.base_url}/v2/images/generations",
        json={"model": "house-sketch", "prompt": "a lake in fog", **options},
        headers=server.headers,
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_webhook_receiver_py(fresh_server: Start, tmp_path: Path) -> None:
    server, port = fresh_server(env=CATALOG).wait_until_ready(), free_port()
    options = ["--data-dir", str(server.data_dir), "--json"]
    created = safelight("webhooks", "create", f"http://127.0.0.1:{port}/", *options, env=CATALOG)
    secret = json.loads(created.stdout)["secret"]
    with receiver(secret, port, tmp_path / "printed") as printed:
        generation = make(server)
        eventually(lambda: generation["id"] in printed.read_text(), "the event of a generation")
        body = b'{"type": "generation.completed", "data": {"id": "req-forged"}}'
        assert post(port, secret, "msg-1", body) == 204
        assert post(port, secret, "msg-1", body) == 204
        assert post(port, "whsec_" + "A" * 32, "msg-2", body) == 401
        assert post(port, secret, "msg-3", body, signature="nonsense") == 401
        lines = printed.read_text().splitlines()
    assert lines == [f"generation.completed {generation['id']}", "generation.completed req-forged"]


@contextmanager
def receiver(secret: str, port: int, output: Path) -> Iterator[Path]:
    """The receiver as a process, listening; the file that it prints to."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "webhook_receiver.py")],
            env=clean_environment({"WEBHOOK_SECRET": secret, "PORT": str(port)}),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: listens(port), f"the receiver listens: {output.read_text()}")
        yield output
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def listens(port: int) -> bool:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/").status_code == 401
    except httpx.TransportError:
        return False


def post(port: int, secret: str, event_id: str, body: bytes, signature: str | None = None) -> int:
    """The receiver's status for an event that is signed with ``secret``, or has a ``signature`` as it stands."""
    now = datetime.now(UTC)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature or Webhook(secret).sign(event_id, now, body.decode()),
    }
    return httpx.post(f"http://127.0.0.1:{port}/", content=body, headers=headers).status_code
