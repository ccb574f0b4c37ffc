"""One generation followed as server-sent events, to its end or until the client leaves."""

from __future__ import annotations

import socket

import httpx

from tests.contract.accounts import Account
from tests.contract.bodies import VIDEOS
from tests.support.server import Server, eventually


def _slow_video(http: httpx.Client) -> str:
    return str(http.post(VIDEOS, json={"model": "slow-video", "prompt": "Clouds over a peak"}).json()["id"])


def test_from_how_it_stands_to_its_end(http: httpx.Client) -> None:
    video = _slow_video(http)
    with http.stream("GET", f"/v2/generations/{video}/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-cache", "no")
        lines = answer.iter_lines()
        assert next(lines) == "event: progress"
        progress = next(lines)
        assert progress.startswith(f'data: {{"id":"{video}","status":"pending","progress":')
        assert next(lines) == ""
        http.delete(f"{VIDEOS}/{video}")
        rest = [line for line in lines if line]
    assert rest[-2] == "event: failed"
    assert f'"id":"{video}"' in rest[-1] and '"code":"canceled"' in rest[-1]


def test_a_client_that_leaves_is_let_go(account: Account, http: httpx.Client, noop_server: Server) -> None:
    """The request ends, though nothing is sent meanwhile that would fail."""
    path = f"/v2/generations/{_slow_video(http)}/events"
    address = ("127.0.0.1", noop_server.port)
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {account.key}\r\n\r\n".encode())
        received = b""
        while b"event: progress" not in received:
            received += connection.recv(4096)
        assert path not in noop_server.log
    eventually(lambda: path in noop_server.log, "the request is over")
