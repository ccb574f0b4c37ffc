"""``safelight mcp``: the same tools on standard streams, and files where they are wanted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from mcp import StdioServerParameters
from mcp.client import Client

from tests.contract.accounts import Account, Accounts
from tests.mcp.hosts import ERAS, facts, links, pictures, words
from tests.support.server import COMMAND, clean_environment

pytestmark = pytest.mark.asyncio


def environment(account: Account, home: Path) -> dict[str, str]:
    return clean_environment(
        {"SAFELIGHT_BASE_URL": account.base_url, "SAFELIGHT_API_KEY": account.key, "HOME": str(home)}
    )


@asynccontextmanager
async def stdio_host(account: Account, folder: Path, era: str, *options: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(
        command=COMMAND, args=["mcp", *options], env=environment(account, folder), cwd=str(folder)
    )
    async with Client(server, mode=era) as client:
        yield client


@pytest.mark.parametrize("era", ERAS)
async def test_what_is_made_is_kept_in_a_folder(account: Account, tmp_path: Path, era: str) -> None:
    told: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    async with stdio_host(account, tmp_path, era, "--out-dir", "made") as client:
        assert len((await client.list_tools()).tools) == 8
        images = await client.call_tool("generate_image", {"prompt": "a hill", "count": 2})
        first = facts(images)["generations"][0]
        asked = {"prompt": "it moves", "first_frame": first["id"]}
        video = await client.call_tool("generate_video", asked, progress_callback=on_progress)
        again = facts(await client.call_tool("get_generation", {"id": first["id"]}))
    made = [*facts(images)["generations"], facts(video)]
    for each in made:
        [path] = each["paths"]
        assert Path(path).parent == tmp_path / "made"
        assert path in words(images) + words(video)
        assert Path(path).read_bytes() == httpx.get(each["data"][0]["url"]).content
    assert again["paths"] == first["paths"]
    assert made[-1]["id"] in told[0]
    assert len(list((tmp_path / "made").iterdir())) == 3
    assert [len(pictures(images)), len(links(video))] == [2, 1]


async def test_a_folder_that_takes_no_file_hides_nothing_that_was_paid_for(account: Account, tmp_path: Path) -> None:
    async with stdio_host(account, tmp_path, "2026-07-28", "--out-dir", "made") as client:
        await client.list_tools()
        (tmp_path / "made").rmdir()
        (tmp_path / "made").write_text("no folder")
        result = await client.call_tool("generate_image", {"prompt": "a hill"})
    [made] = facts(result)["generations"]
    assert made["status"] == "completed"
    assert "Not saved: " in words(result)
    assert len(links(result)) == 1


async def test_errors_come_through(account: Account, tmp_path: Path) -> None:
    async with stdio_host(account, tmp_path, "2026-07-28") as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "aspect_ratio": "7:1"})
    assert result.is_error
    assert (result.meta or {})["safelight/error"]["param"] == "aspect_ratio"


async def test_a_server_that_is_away_is_an_error_with_a_remedy(account: Account, tmp_path: Path) -> None:
    away = Account(base_url="http://127.0.0.1:9", workspace="", key=account.key, key_id=0)
    async with stdio_host(away, tmp_path, "2026-07-28") as client:
        assert len((await client.list_tools()).tools) == 8
        result = await client.call_tool("generate_image", {"prompt": "x", "model": "still"})
    assert result.is_error
    assert "cannot be reached" in words(result)
    assert "idempotency_key" in words(result)


def started(account: Account, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(account, folder) | {"PYTHONFAULTHANDLER": "1"},
        cwd=folder,
    )


def all_it_says(process: subprocess.Popen[str], given: str) -> tuple[str, str]:
    """Its stdout and stderr until it ends. One that does not end tells where each of its threads stands."""
    try:
        return process.communicate(given, timeout=120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        pytest.fail(f"It does not end.\n{out}\n{err}")


_PING = {"jsonrpc": "2.0", "id": 1, "method": "initialize"} | {
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a test", "version": "1"}}
}


async def test_it_ends_when_its_input_does_and_says_nothing_else_on_stdout(account: Account, tmp_path: Path) -> None:
    process = started(account, tmp_path)
    out, err = all_it_says(process, json.dumps(_PING) + "\n")
    assert process.returncode == 0, err
    [answer] = [json.loads(line) for line in out.splitlines()]
    assert answer["result"]["serverInfo"]["name"] == "safelight"
    assert account.base_url in err
    assert account.key not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_when_it_is_told_to(account: Account, tmp_path: Path, number: signal.Signals) -> None:
    process = started(account, tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(_PING) + "\n")
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(number)
    try:
        assert process.wait(30) == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    finally:
        process.kill()
        process.communicate()


async def test_without_the_extra_it_says_how_to_install_it(account: Account, tmp_path: Path) -> None:
    hidden = (
        "import sys, importlib.util as u; found = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'mcp' else found(name, *rest);"
        "from safelight.cli import run; sys.exit(run(['mcp']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, env=environment(account, tmp_path), cwd=tmp_path
    )
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "safelight: What serves MCP is not installed. Run: pip install 'safelight[mcp]'."
    ]


async def test_two_workspaces_do_not_share(account: Account, accounts: Accounts, tmp_path: Path) -> None:
    other = accounts.create()
    async with (
        stdio_host(account, tmp_path, "2026-07-28") as mine,
        stdio_host(other, tmp_path, "2026-07-28") as theirs,
    ):
        [made] = facts(await mine.call_tool("generate_image", {"prompt": "a hill"}))["generations"]
        refused = await theirs.call_tool("get_generation", {"id": made["id"]})
    assert refused.is_error
