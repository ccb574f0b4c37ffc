"""What strangers send and how, against a running server: it answers everybody else meanwhile."""

from __future__ import annotations

import base64
import re
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from safelight.domain.ids import new_api_key
from tests.support.server import Server, eventually, open_folder

CANARY = "canaryprompt7f3a"
MODEL = "seedream-5-lite"


@pytest.fixture(scope="module")
def attacked() -> Iterator[Server]:
    with open_folder() as folder:
        catalog = folder / "catalog.toml"
        shipped = Path(__file__).parents[2] / "src/safelight/catalog.toml"
        catalog.write_text(shipped.read_text().replace('connection = "builtin"', 'connection = "noop"'))
        blocklist = folder / "blocklist.toml"
        blocklist.write_text('[[rules]]\ncategory = "violence"\nterms = ["gore"]\n')
        server = Server(
            folder / "data",
            env={
                "SAFELIGHT_CATALOG": str(catalog),
                "SAFELIGHT_MODERATION": "blocklist",
                "SAFELIGHT_MODERATION_BLOCKLIST": str(blocklist),
                "SAFELIGHT_LOG_LEVEL": "debug",
                "SAFELIGHT_ADDRESS_REFUSALS": "40",
            },
        )
        try:
            yield server.wait_until_ready()
            server.stop()
        finally:
            server.kill_everything()


def post(server: Server, body: dict[str, object], path: str = "/v2/images/generations") -> httpx.Response:
    return httpx.post(f"{server.base_url}{path}", json=body, headers=server.headers, timeout=120)


def health_seconds(server: Server) -> float:
    """Asked by a process of its own: the threads that attack keep this one busy."""
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", f"{server.base_url}/healthz"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    status, seconds = told.split()
    assert status == "200"
    return float(seconds)


def balance(server: Server) -> str:
    answer = httpx.get(f"{server.base_url}/v2/billing/balance", headers=server.headers, timeout=30)
    return str(answer.json()["balance"])


def data_url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def png(width: int, height: int, *extra: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = zlib.compress(b"\0" * (width + 1) * min(height, 2000), 9)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bombs() -> dict[str, str]:
    text = b"zTXt" + b"k\0\0" + zlib.compress(b"A" * 30_000_000, 9)
    ztxt = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    gif = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\0\0\0\xff\xff\xff" + b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0" * 5000 + b";"
    return {
        "huge picture": data_url(png(60_000, 60_000)),
        "zTXt bomb": data_url(png(8, 8, ztxt)),
        "many frames": data_url(gif),
        "SVG as PNG": data_url(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        "PNG and HTML": data_url(b"<html><script>alert(1)</script>" + png(8, 8)),
        "10 MiB and one byte": data_url(b"\0" * (10 * 1024 * 1024 + 1)),
    }


def test_bombs_twenty_at_once_are_refused_while_health_answers_and_memory_stays(attacked: Server) -> None:
    set_of = bombs()
    bodies = [{"model": MODEL, "prompt": "x", "images": [{"url": url}]} for url in [*set_of.values()] * 4][:20]
    slowest, peak = 0.0, 0
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(post, attacked, body) for body in bodies]
        while not all(item.done() for item in asked):
            slowest = max(slowest, health_seconds(attacked))
            peak = max(peak, sum(process.memory_info().rss for process in attacked.processes()))
            time.sleep(0.1)
    answers = [item.result() for item in asked]
    for body, answer in zip(bodies, answers, strict=True):
        name = next(name for name, url in set_of.items() if url == body["images"][0]["url"])  # type: ignore[index]
        if name == "zTXt bomb":  # mere metadata, and stripped: that picture itself is fine
            assert answer.status_code == 200, answer.text
        else:
            assert answer.status_code == 400, (name, answer.text)
            error = answer.json()["error"]
            assert (error["code"], error["param"]) == ("invalid_parameter", "images[0].url")
    assert peak < 3 * 1024**3
    print(f"slowest health answer {slowest:.3f} s, peak memory {peak / 1024**2:.0f} MiB")


def test_slow_headers_and_readers_of_nothing_do_not_keep_others_waiting(attacked: Server) -> None:
    made = post(attacked, {"model": MODEL, "prompt": "x"}).json()
    path = made["data"][0]["url"].removeprefix(attacked.base_url)
    with ExitStack() as stack:
        for number in range(500):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", attacked.port), timeout=30))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * (number % 7))
        reader = stack.enter_context(socket.create_connection(("127.0.0.1", attacked.port), timeout=30))
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answers = [health_seconds(attacked) for _ in range(5)]
    print(f"health with 500 slow connections: {max(answers):.3f} s")
    assert post(attacked, {"model": MODEL, "prompt": "still there"}).status_code == 200


def test_moderation_refuses_before_anything_is_held_and_uses_up_no_key(attacked: Server) -> None:
    before = balance(attacked)
    headers = {**attacked.headers, "Idempotency-Key": "moderated"}
    url = f"{attacked.base_url}/v2/images/generations"
    refused = httpx.post(url, json={"model": MODEL, "prompt": "pure GORE"}, headers=headers, timeout=30)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (422, "content_policy_violation", "prompt")
    assert "violence" in error["message"]
    assert balance(attacked) == before
    again = httpx.post(url, json={"model": MODEL, "prompt": "a lake"}, headers=headers, timeout=30)
    assert again.status_code == 200


def test_logs_hold_no_key_no_signature_no_picture_and_no_prompt(attacked: Server) -> None:
    picture = data_url(png(8, 8))
    made = post(attacked, {"model": MODEL, "prompt": CANARY, "images": [{"url": picture}]})
    assert made.status_code == 200, made.text
    url = made.json()["data"][0]["url"]
    httpx.get(url, timeout=30)
    httpx.get(url.replace("sig=", "sig=0"), timeout=30)
    post(attacked, {"model": MODEL, "prompt": CANARY, "images": [{"url": "data:image/png;base64,AAAA" + CANARY}]})
    post(attacked, {"model": "nope", "prompt": CANARY})
    signature = re.search(r"sig=([0-9a-f]{64})", url)
    assert signature is not None
    eventually(lambda: attacked.log.count("/v2/downloads/") >= 2, "the log has the downloads")
    printed_once = attacked.log.replace(f"Your API key, shown this once: {attacked.key}", "")
    for secret in (attacked.key, signature[1], CANARY, base64.b64encode(png(8, 8)).decode()[:60]):
        assert secret not in printed_once


async def test_guessed_keys_are_cut_off_and_right_ones_go_on(attacked: Server) -> None:
    url = f"{attacked.base_url}/v2/models"
    async with httpx.AsyncClient(timeout=30) as client:
        assert (await client.get(url, headers=attacked.headers)).status_code == 200
        guesses = [{"Authorization": f"Bearer {new_api_key()}"} for _ in range(60)]
        answers = [await client.get(url, headers=guess) for guess in guesses]
        assert [answer.status_code for answer in answers] == [401] * 40 + [429] * 20
        assert answers[-1].json()["error"]["code"] == "rate_limit"
        assert (await client.get(url, headers=attacked.headers)).status_code == 200
        assert (await client.get(f"{attacked.base_url}/healthz")).status_code == 200
