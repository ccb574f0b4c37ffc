"""Bodies over 25 MiB are refused while they come, whatever they say of their length."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.contract.accounts import Account, Accounts
from tests.contract.bodies import IMAGES, VIDEOS
from tests.contract.raw import RawAnswer, exchange

MIB = 1024 * 1024
LIMIT = 25 * MIB


def _head(account: Account, path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {account.key}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def _pieces(total: int) -> Iterator[bytes]:
    """``total`` bytes of one JSON string that never ends."""
    yield b'{"prompt": "'.ljust(MIB, b"x")
    for _ in range(total // MIB - 1):
        yield b"x" * MIB


def _chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


def _is_too_large(answer: RawAnswer) -> bool:
    assert answer.status == 413, answer
    error = json.loads(answer.body)["error"]
    assert (error["code"], error["param"]) == ("request_too_large", None)
    assert "25 MiB" in error["message"]
    assert "x-ratelimit-remaining" in answer.headers
    return True


@pytest.mark.parametrize("path", [IMAGES, VIDEOS])
def test_a_length_over_the_limit_is_refused_before_the_body_comes(
    path: str, account: Account, accounts: Accounts
) -> None:
    before = accounts.traces_at_rest(account)
    assert _is_too_large(exchange(account.base_url, [_head(account, path, f"Content-Length: {LIMIT + 1}"), b"{"]))
    assert accounts.traces(account) == before


def test_a_chunked_body_is_refused_while_it_comes(account: Account, accounts: Accounts) -> None:
    before = accounts.traces_at_rest(account)
    head = _head(account, IMAGES, "Transfer-Encoding: chunked")
    assert _is_too_large(exchange(account.base_url, [head, *_chunked(_pieces(LIMIT + 2 * MIB))]))
    assert accounts.traces(account) == before


def test_a_body_of_the_limit_is_read(account: Account, http: httpx.Client) -> None:
    """So that what is refused is refused for its content."""
    body = json.dumps({"model": "noop-image", "prompt": "A mountain"}).encode().ljust(LIMIT)
    assert http.post(IMAGES, content=body).status_code == 200
    assert http.post(IMAGES, content=body + b" ").status_code == 413


@pytest.mark.parametrize("length", [1, 40])
def test_more_than_was_announced_is_not_read(length: int, account: Account, accounts: Accounts) -> None:
    before = accounts.traces_at_rest(account)
    head = _head(account, IMAGES, f"Content-Length: {length}")
    answer = exchange(account.base_url, [head, b'{"model": "noop-image", "prompt": "A mountain at dawn"}'])
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["code"] == "invalid_parameter"
    assert accounts.traces(account) == before


def test_less_than_was_announced_makes_nothing(account: Account, accounts: Accounts) -> None:
    before = accounts.traces_at_rest(account)
    head = _head(account, IMAGES, "Content-Length: 4000")
    body = b'{"model": "noop-image", "prompt": "A mountain at dawn"}'
    assert exchange(account.base_url, [head, body], then_stop=True).status in (0, 400)
    assert accounts.traces(account) == before


@pytest.mark.parametrize("length", ["-1", "ten", "0x20", "1, 2"])
def test_a_length_that_is_none(length: str, account: Account) -> None:
    answer = exchange(account.base_url, [_head(account, IMAGES, f"Content-Length: {length}"), b"{}"])
    assert answer.status == 400
