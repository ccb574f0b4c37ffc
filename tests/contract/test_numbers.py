"""Numbers in queries, headers and paths are read to their last digit, and held against their bounds."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.contract.accounts import Account, Accounts
from tests.contract.bodies import IMAGES, VIDEOS
from tests.contract.raw import exchange

UNKNOWN = "req-00000000000000000000000000"
NO_NUMBERS = ["", " ", "-1", "+1", "1.0", "1e1", "0x1", "1_0", "%EF%BC%91", "%D9%A1", "nan", "1%00", "1,2"]


@pytest.mark.parametrize("text", ["0", "101", "0000019999999999999999999999999", "9" * 5000, "000000", *NO_NUMBERS])
def test_limits_that_are_refused(text: str, http: httpx.Client) -> None:
    answer = http.get(f"/v2/generations?limit={text}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_parameter", "limit")
    assert "Use 1 to 100." in error["message"]
    assert len(error["message"]) < 200


@pytest.mark.parametrize("text", ["1", "100", "0000000000001", "0" * 5000 + "100"])
def test_limits_that_are_taken(text: str, http: httpx.Client) -> None:
    assert http.get(f"/v2/generations?limit={text}").status_code == 200


@pytest.mark.parametrize("text", ["61", "0000003600", "99999999999999999999", "9" * 5000, *NO_NUMBERS])
def test_waits_that_are_refused(text: str, http: httpx.Client) -> None:
    """At once: they hold no place."""
    slow = http.post(VIDEOS, json={"model": "slow-video", "prompt": "Clouds"}).json()["id"]
    answer = http.get(f"{VIDEOS}/{slow}?wait={text}", timeout=20)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_parameter", "wait")
    assert "Use 0 to 60 seconds." in error["message"]


def test_a_wait_with_zeros_before_it(http: httpx.Client) -> None:
    slow = http.post(VIDEOS, json={"model": "slow-video", "prompt": "Clouds"}).json()["id"]
    assert http.get(f"{VIDEOS}/{slow}?wait=0000000001").json()["status"] == "pending"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v2/generations?limit=1&limit=100", "limit"),
        ("/v2/generations?limit=1&%6cimit=100", "limit"),
        ("/v2/generations?type=image&type=image", "type"),
        ("/v2/generations?status=failed&status=", "status"),
        (f"/v2/generations?after={UNKNOWN}&after={UNKNOWN}", "after"),
        (f"{VIDEOS}/{UNKNOWN}?wait=0&wait=3600", "wait"),
        ("/v2/models?type=image&type=video", "type"),
        ("/v2/billing/costs?start=2026-05-01T00:00:00Z&end=2026-05-02T00:00:00Z&start=2026-04-01T00:00:00Z", "start"),
        ("/v2/billing/costs?start=2026-05-01T00:00:00Z&end=2026-05-02T00:00:00Z&end=", "end"),
    ],
)
def test_a_parameter_that_is_given_twice(path: str, name: str, http: httpx.Client) -> None:
    """As a name of a body, or a header: which of the two is checked, and which used, depends on the reader."""
    answer = http.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_parameter", name)
    assert error["message"] == f"{name} is given twice. Send it once."


@pytest.mark.parametrize("text", ["x" * 5000, "\x1b[31m"])
@pytest.mark.parametrize("name", ["type", "status", "after"])
def test_what_was_sent_is_repeated_shortly(name: str, text: str, http: httpx.Client) -> None:
    answer = http.get("/v2/generations", params={name: text})
    assert answer.status_code == 400
    assert len(answer.json()["error"]["message"]) < 250
    assert "\x1b" not in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("count", "joins"),
    [("1", True), ("0001", True), ("1000", True), ("9" * 60, True), ("0", False), ("00", False), ("-1", False)],
)
def test_a_count_of_repeats(count: str, joins: bool, accounts: Accounts) -> None:
    account = accounts.create()
    with account.http() as client:
        body = {"model": "slow-video", "prompt": f"Clouds {count}"}
        first = client.post(VIDEOS, json=body).json()["id"]
        again = client.post(VIDEOS, json=body, headers={"x-stainless-retry-count": count}).json()["id"]
    assert (again == first) == joins


@pytest.mark.parametrize("index", ["00", "-1", "1e0", "９", "9" * 5000, "0x0", "10000"])
def test_an_index_that_no_link_has(index: str, account: Account) -> None:
    answer = httpx.get(f"{account.base_url}/v2/downloads/{UNKNOWN}/{index}?exp=1778329800&sig={'0' * 64}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "invalid_signature")


@pytest.mark.parametrize("length", ["9" * 30, "9" * 5000, "00000000000099999999999"])
def test_a_length_that_no_body_has(length: str, account: Account) -> None:
    head = f"POST {IMAGES} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {account.key}\r\nConnection: close\r\n"
    answer = exchange(account.base_url, [f"{head}Content-Length: {length}\r\n\r\n".encode(), b"{}"], then_stop=True)
    assert answer.status in (400, 413), answer
    if answer.body:
        assert json.loads(answer.body)["error"]["code"] in ("request_too_large", "invalid_parameter")
