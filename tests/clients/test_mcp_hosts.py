"""Hosts of MCP, set up as docs/mcp.md says: what their settings start is started, what they call is called."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests.clients import pages
from tests.clients.reader import exported
from tests.contract.accounts import Account
from tests.support.server import COMMAND, clean_environment

Entry = dict[str, Any]


def entries() -> Iterator[Entry]:
    """What every block of settings says of the server, as it stands in the page."""
    for block in pages.blocks_of("../mcp"):
        if block.language == "json":
            settings = json.loads(block.text)
            yield (settings.get("mcpServers") or settings["servers"])["safelight"]
        elif block.text.startswith("claude mcp add "):
            yield _added(shlex.split(block.text)[3:])


def _added(words: list[str]) -> Entry:
    """The settings that `claude mcp add` makes of its arguments."""
    if "--" in words:
        command, *arguments = words[words.index("--") + 1 :]
        return {"command": command, "args": arguments}
    assert words[:3] == ["--transport", "http", "safelight"]
    name, _, value = words[words.index("--header") + 1].partition(": ")
    return {"url": words[3], "headers": {name: value}}


def here(text: str, account: Account, folder: Path) -> str:
    swaps = {
        "https://your.host": account.base_url,
        "sk_...": account.key,
        "${input:safelight-key}": account.key,
        "/home/you": str(folder),
        "${workspaceFolder}": str(folder),
    }
    for written, ours in swaps.items():
        text = text.replace(written, ours)
    return text


def test_the_page_has_settings_of_both_kinds() -> None:
    found = list(entries())
    assert {"url" in entry for entry in found} == {True, False}


@pytest.mark.parametrize("entry", [entry for entry in entries() if "url" in entry])
async def test_over_http(account: Account, tmp_path: Path, entry: Entry) -> None:
    headers = {name: here(value, account, tmp_path) for name, value in entry["headers"].items()}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        url = here(entry["url"], account, tmp_path)
        async with Client(streamable_http_client(url, http_client=http), mode="legacy") as client:
            await _makes_an_image(client)


@pytest.mark.parametrize("entry", [entry for entry in entries() if "command" in entry])
async def test_on_standard_streams(account: Account, tmp_path: Path, entry: Entry) -> None:
    assert entry["command"] == "safelight"
    given = {name: here(value, account, tmp_path) for name, value in entry.get("env", {}).items()}
    server = StdioServerParameters(
        command=COMMAND,
        args=[here(argument, account, tmp_path) for argument in entry["args"]],
        env=clean_environment({"HOME": str(tmp_path), **(given or exported(account))}),
        cwd=str(tmp_path),
    )
    async with Client(server, mode="legacy") as client:
        await _makes_an_image(client)
    (kept,) = (tmp_path / "media").iterdir()
    assert kept.stat().st_size > 1000


async def _makes_an_image(client: Client) -> None:
    assert "generate_image" in {tool.name for tool in (await client.list_tools()).tools}
    result = await client.call_tool("generate_image", {"prompt": "a red boat", "resolution": "1K"})
    assert not result.is_error, [block.text for block in result.content if isinstance(block, TextContent)]
    assert result.structured_content is not None
    assert result.structured_content["generations"][0]["usage"]["total_cost"] == 0.03
