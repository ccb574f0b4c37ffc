"""A client that reads no answer before it has sent all of its request, as most do: it hears what is said."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.accounts import Account
from tests.contract.raw import exchange
from tests.support.server import PATIENCE_SECONDS

PIECE = b"x" * 65536
PIECES = 160  # more than a connection's buffers hold
ASKED = [
    ("POST", "/v1/images/edits", "sk_wrong", 401, '"invalid_request_error"'),
    ("POST", "/v2/images/generations", "sk_wrong", 401, '"invalid_api_key"'),
    ("POST", "/v1/nothing", None, 404, '"invalid_request_error"'),
    ("PUT", "/v1/videos", None, 405, '"invalid_request_error"'),
]


@pytest.mark.parametrize(("method", "path", "key", "status", "said"), ASKED)
def test_all_of_it_is_taken_and_the_connection_goes_on(
    method: str, path: str, key: str | None, status: int, said: str, account: Account
) -> None:
    address = urlsplit(account.base_url)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key or account.key}\r\n"
    with socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS) as connection:
        for _ in range(2):
            connection.sendall(f"{head}Content-Length: {PIECES * len(PIECE)}\r\n\r\n".encode())
            for _ in range(PIECES):
                connection.sendall(PIECE)
            answer = connection.recv(65536).decode()
            assert answer.startswith(f"HTTP/1.1 {status} ")
            assert said in answer


def test_a_form_over_the_limit_is_told_so(http: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(30 * 16):
            yield PIECE

    answer = http.post("/v1/images/edits", content=pieces(), headers={"content-length": str(30 * 16 * len(PIECE))})
    assert (answer.status_code, answer.is_success) == (413, False)
    assert http.get("/v1/models").status_code == 200


def test_who_stops_sending_is_answered_and_left(account: Account) -> None:
    head = "POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    answer = exchange(account.base_url, [head.encode(), b"half"])
    assert answer.status == 401


def test_who_asks_whether_to_send_is_told_at_once(account: Account) -> None:
    head = "POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
    assert exchange(account.base_url, [head.encode()]).status == 401
