"""Who may ask: every wrong ``Authorization`` header gets one identical answer, and a revoked key gets it too."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.contract.accounts import Account, Accounts
from tests.contract.raw import RawAnswer, exchange
from tests.support.server import eventually

_BODY = {
    "error": {
        "message": "The API key is missing or not valid. Send it as 'Authorization: Bearer sk_...'.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
}


def _ask(account: Account, *headers: bytes) -> RawAnswer:
    lines = [b"GET /v2/models/noop-image HTTP/1.1", b"Host: localhost", b"Connection: close", *headers]
    return exchange(account.base_url, [b"\r\n".join([*lines, b"", b""])])


def _is_the_one_refusal(answer: RawAnswer) -> bool:
    assert answer.status == 401, answer
    assert answer.headers["www-authenticate"] == "Bearer"
    assert json.loads(answer.body) == _BODY
    return True


def _with_wrong_checksum(key: str) -> str:
    return key[:-1] + ("0" if key[-1] != "0" else "1")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Authorization:"],
        ["Authorization: Bearer"],
        ["Authorization: Bearer "],
        ["Authorization: {key}"],
        ["Authorization: Basic {key}"],
        ["Authorization: Bearer{key}"],
        ["Authorization: Bearer\t{key}"],
        ["Authorization: Bearer {key}x"],
        ["Authorization: Bearer {wrong}"],
        ["Authorization: Bearer sk_" + "0" * 49],
        ["Authorization: Bearer sk_" + "é" * 49],
        ["Authorization: Bearer ☃"],
        ["Authorization: Bearer {key}, Bearer {key}"],
        ["Authorization: Bearer {key},{key}"],
        ["Authorization: Bearer " + "k" * 60_000],
        ["X-Api-Key: {key}"],
    ],
    ids=lambda headers: "; ".join(headers)[:50] or "none",
)
def test_wrong_headers_get_one_refusal(headers: list[str], account: Account) -> None:
    key = account.key
    lines = [line.replace("{key}", key).replace("{wrong}", _with_wrong_checksum(key)) for line in headers]
    assert _is_the_one_refusal(_ask(account, *(line.encode() for line in lines)))


@pytest.mark.parametrize(
    "value", [b"Bearer " + b"k" * 1_000_000, b"Bearer \xff\xfe", b"Bearer \x7f"], ids=["1 MB", "bytes", "control"]
)
def test_what_is_hardly_http_is_the_clients_fault(value: bytes, account: Account) -> None:
    assert 400 <= _ask(account, b"Authorization: " + value).status < 500


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("Authorization", "Bearer {key}", "Bearer {key}"),
        ("Authorization", "Bearer {key}", "Bearer {wrong}"),
        ("Idempotency-Key", "a", "b"),
        ("Idempotency-Key", "a", "a"),
        ("Host", "localhost", "elsewhere"),
        ("Host", "localhost", "localhost"),
        ("Content-Type", "application/json", "text/plain"),
        ("Content-Encoding", "identity", "gzip"),
        ("X-Stainless-Retry-Count", "0", "1"),
    ],
)
def test_two_of_what_there_is_one_of_are_refused_by_name(
    name: str, first: str, second: str, account: Account, accounts: Accounts
) -> None:
    before = accounts.traces_at_rest(account)
    body = b'{"model": "noop-image", "prompt": "A mountain"}'
    usual = {"Host": "localhost", "Authorization": "Bearer {key}"}
    fields = [(field, value) for field, value in usual.items() if field != name] + [(name, first), (name, second)]
    values = {"key": account.key, "wrong": _with_wrong_checksum(account.key)}
    lines = [f"{field}: {value.format(**values)}" for field, value in fields]
    head = ["POST /v2/images/generations HTTP/1.1", *lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    answer = exchange(account.base_url, ["\r\n".join(head).encode() + body])
    assert answer.status == 400, answer
    error = json.loads(answer.body)["error"]
    assert (error["code"], error["param"]) == ("invalid_parameter", name)
    assert error["message"] == f"The {name} header is given twice. Send it once."
    assert accounts.traces(account) == before


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_taken_in_any_case(scheme: str, account: Account) -> None:
    assert _ask(account, f"Authorization: {scheme} {account.key}".encode()).status == 200


def test_a_revoked_key_gets_the_same_refusal(accounts: Accounts) -> None:
    account = accounts.create()
    header = f"Authorization: Bearer {account.key}".encode()
    assert _ask(account, header).status == 200
    accounts.revoke(account)
    eventually(lambda: _ask(account, header).status == 401, "the revoked key is refused")
    assert _is_the_one_refusal(_ask(account, header))


def test_every_route_but_links_and_health_asks_for_a_key(account: Account) -> None:
    stranger = httpx.Client(base_url=account.base_url, verify=False)
    document = stranger.get("/openapi.json").json()
    asked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = stranger.request(method, path.format(id="req-0", model="noop-image", index=0))
            if operation["security"]:
                assert (answer.status_code, answer.json()) == (401, _BODY), (method, path)
                asked += 1
            else:
                assert answer.status_code != 401, (method, path)
    stranger.close()
    assert asked >= 9
