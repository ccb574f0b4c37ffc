"""What goes before the tools at ``/mcp``: the key, the host, the origin, the size of a body; and what is repeated."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from safelight.api.mcp.hosts import allowed
from safelight.node.settings import Settings
from tests.contract.accounts import Account, Accounts
from tests.mcp.hosts import ERAS, facts, host, pictures, words
from tests.support.server import Server, clean_environment

_ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def modern(tool: str, arguments: dict[str, Any], *, id: int = 1, **meta: Any) -> dict[str, Any]:
    """A ``tools/call`` of the newest revision, as it goes over the wire."""
    params = {"name": tool, "arguments": arguments, "_meta": _META | meta}
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}


def modern_headers(tool: str) -> dict[str, str]:
    return _ACCEPT | {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}


def post(account: Account, body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
    own = modern_headers(body["params"]["name"]) if headers is None else headers
    return httpx.post(f"{account.base_url}/mcp", headers=account.headers | own, json=body, timeout=60)


def legacy(account: Account, session: str, id: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """The answer to a ``tools/call`` of the revision before."""
    headers = _ACCEPT | {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": session}
    params = {"name": "generate_image", "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}
    answer = post(account, body, headers)
    data = next(line for line in answer.text.splitlines() if line.startswith("data:"))
    return dict(json.loads(data.removeprefix("data:"))["result"])


def begin(account: Account) -> str:
    """The name of a new session."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a test", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    answer = post(account, body, _ACCEPT)
    assert answer.status_code == 200
    return str(answer.headers["mcp-session-id"])


def ids_of(result: dict[str, Any]) -> list[str]:
    return [each["id"] for each in result["structuredContent"]["generations"]]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer sk_wrong"}, {"Authorization": "Basic eDp5"}],
    ids=["none", "wrong", "other"],
)
def test_without_a_good_key_nothing_is_answered(account: Account, headers: dict[str, str]) -> None:
    answer = httpx.post(
        f"{account.base_url}/mcp", headers=modern_headers("get_balance") | headers, json=modern("get_balance", {})
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["data"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Host", "evil.example", 421),
        ("Host", "evil.example:8484", 421),
        ("Host", "127.0.0.1.evil.example", 421),
        ("Origin", "https://evil.example", 403),
        ("Origin", "http://localhost.evil.example", 403),
        ("Origin", "null", 403),
    ],
)
def test_a_foreign_host_or_origin_is_refused(account: Account, name: str, value: str, status: int) -> None:
    body = modern("get_balance", {})
    assert post(account, body, modern_headers("get_balance") | {name: value}).status_code == status
    session = begin(account)
    headers = _ACCEPT | {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": session, name: value}
    assert (
        post(account, {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}, headers).status_code == status
    )


def test_its_own_names_pass(account: Account) -> None:
    port = account.base_url.rpartition(":")[2]
    for name in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        headers = modern_headers("get_balance") | {"Host": name, "Origin": f"http://{name}"}
        assert post(account, modern("get_balance", {}), headers).status_code == 200


@pytest.mark.parametrize(
    ("settings", "hosts", "origins"),
    [
        (
            Settings(public_url="https://media.example.com", host="10.0.0.5", port=8484),
            ["media.example.com", "media.example.com:443", "10.0.0.5:8484"],
            "https://media.example.com",
        ),
        (
            Settings(public_url="https://example.com:8443/safelight/", host="0.0.0.0", port=1234),
            ["example.com:8443", "0.0.0.0:1234", "127.0.0.1:1234", "localhost:1234", "[::1]:1234"],
            "https://example.com:8443",
        ),
        (
            Settings(host="::1", port=80),
            ["[::1]", "[::1]:80", "127.0.0.1", "127.0.0.1:80", "localhost", "localhost:80"],
            "http://localhost",
        ),
    ],
)
def test_the_public_address_and_its_own_are_allowed(settings: Settings, hosts: list[str], origins: str) -> None:
    found = allowed(settings)
    assert found.enable_dns_rebinding_protection
    assert found.allowed_hosts == hosts
    assert origins in found.allowed_origins


def test_what_is_no_post_is_told_so(account: Account) -> None:
    for method in ("GET", "DELETE", "PUT"):
        answer = httpx.request(method, f"{account.base_url}/mcp", headers=account.headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
        assert answer.json()["jsonrpc"] == "2.0"


def test_a_body_over_4_mib_is_refused(account: Account) -> None:
    answer = post(account, modern("generate_image", {"prompt": "x", "reference_images": ["data:" + "A" * (4 << 20)]}))
    assert answer.status_code == 413
    assert "4 MiB" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"[" * 100_000, b'{"jsonrpc":"2.0","id":1}', b"\xff"]
)
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_what_is_no_request_is_an_error_of_the_client(account: Account, body: bytes, version: str) -> None:
    headers = account.headers | _ACCEPT | {"MCP-Protocol-Version": version}
    answer = httpx.post(f"{account.base_url}/mcp", headers=headers, content=body)
    assert 400 <= answer.status_code < 500, answer.text


def test_a_request_repeated_in_a_session_is_one_order(account: Account, accounts: Accounts) -> None:
    asked = {"prompt": "a hill", "count": 2}
    one, other = begin(account), begin(account)
    first, again = legacy(account, one, 7, asked), legacy(account, one, 7, asked)
    next_, others = legacy(account, one, 8, asked), legacy(account, other, 7, asked)
    assert ids_of(first) == ids_of(again)
    assert len({*ids_of(first), *ids_of(next_), *ids_of(others)}) == 6
    assert accounts.traces(account)[0] == 6


def test_a_traced_request_repeated_is_one_order(account: Account, accounts: Accounts) -> None:
    body = modern("generate_image", {"prompt": "a hill"}, traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    other = modern("generate_image", {"prompt": "a hill"}, traceparent=f"00-{'a' * 32}-{'c' * 16}-01")
    first, again, third = (post(account, each).json()["result"] for each in (body, body, other))
    assert ids_of(first) == ids_of(again) != ids_of(third)
    assert accounts.traces(account)[0] == 2


def test_requests_alike_that_were_answered_are_two_orders(account: Account, accounts: Accounts) -> None:
    body = modern("generate_image", {"prompt": "a hill"})
    first, again = (ids_of(post(account, body).json()["result"]) for _ in range(2))
    assert first != again
    assert accounts.traces(account)[0] == 2


@pytest.mark.parametrize(
    ("tool", "model"), [("generate_image", "still-slow"), ("generate_video", "clip-slow")], ids=["image", "video"]
)
def test_a_request_whose_answer_got_lost_is_the_same_order_when_it_comes_again(
    account: Account, accounts: Accounts, tool: str, model: str
) -> None:
    body = modern(tool, {"prompt": "a hill", "model": model}, progressToken=3)
    headers = account.headers | modern_headers(tool)
    with httpx.stream("POST", f"{account.base_url}/mcp", headers=headers, json=body, timeout=60) as answer:
        told = next(line for line in answer.iter_lines() if "req-" in line)  # then the connection breaks
    answer = post(account, body)
    result = json.loads(answer.text.strip().splitlines()[-1].removeprefix("data: "))["result"]["structuredContent"]
    [made] = result.get("generations", [result])
    assert made["status"] == "completed"
    assert made["id"] in told
    assert accounts.traces(account)[0] == 1


@pytest.mark.parametrize("era", ERAS)
async def test_a_key_of_the_callers_own_makes_repeats_one_order(account: Account, accounts: Accounts, era: str) -> None:
    asked = {"prompt": "a hill", "count": 2, "idempotency_key": f"mine-{era}"}
    results = []
    for _ in range(2):
        async with host(account, era) as client:
            results.append(facts(await client.call_tool("generate_image", asked)))
    async with host(account, era) as client:
        other = await client.call_tool("generate_image", {**asked, "prompt": "a lake"})
        at_once = await asyncio.gather(
            *(client.call_tool("generate_video", {"prompt": "x", "idempotency_key": "v"}) for _ in range(3))
        )
    assert [each["id"] for each in results[0]["generations"]] == [each["id"] for each in results[1]["generations"]]
    assert other.is_error
    assert "idempotency_conflict" in words(other)
    assert len({facts(each)["id"] for each in at_once}) == 1
    assert accounts.traces(account)[0] == 3


async def test_the_job_goes_on_when_its_host_is_gone(account: Account) -> None:
    asked = {"prompt": "a hill", "model": "still-slow", "idempotency_key": "gone"}
    async with host(account) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.call_tool("generate_image", asked)
    async with host(account) as client:
        [made] = facts(await client.call_tool("generate_image", asked))["generations"]
        balance = facts(await client.call_tool("get_balance", {}))
    assert made["status"] == "completed"
    assert balance["balance"] == "999.95"


@pytest.mark.parametrize("era", ERAS)
async def test_no_log_has_what_was_asked_for_or_a_key(account: Account, mcp_server: Server, era: str) -> None:
    async with host(account, era) as client:
        result = await client.call_tool("generate_image", {"prompt": "a canary in the mine"})
    [made] = facts(result)["generations"]
    log = mcp_server.log
    assert "POST" in log
    assert "canary" not in log
    assert account.key not in log
    assert pictures(result)[0].data[:60] not in log
    assert made["data"][0]["url"].rpartition("sig=")[2] not in log


_IMPORTED = """
import sys
from safelight.wiring import serving
from safelight.cli import serve
from safelight.node.settings import Settings
serving.load_dialects(Settings(mcp=sys.argv[1]))
print(" ".join(name for name in ("mcp", "mcp_types", "pydantic", "safelight.mcp") if name in sys.modules))
"""


@pytest.mark.parametrize(("mcp", "found"), [("off", ""), ("on", "mcp mcp_types pydantic safelight.mcp")])
def test_only_a_server_with_it_on_imports_it(mcp: str, found: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _IMPORTED, mcp], capture_output=True, text=True, check=True, env=clean_environment()
    )
    assert ran.stdout.strip() == found
