"""Hosts: clients of MCP as the SDK makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Client, ClientExtension
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ImageContent, ResourceLink, TextContent

from tests.contract.accounts import Account

ERAS = ["legacy", "2026-07-28"]
"""What a client speaks: the revision 2025-11-25 with its handshake, or the newest."""


@asynccontextmanager
async def host(
    account: Account, era: str = "2026-07-28", *, extensions: list[ClientExtension] | None = None, **headers: str
) -> AsyncIterator[Client]:
    http = httpx2.AsyncClient(headers=account.headers | headers, timeout=60)
    async with http:
        transport = streamable_http_client(f"{account.base_url}/mcp", http_client=http)
        async with Client(transport, mode=era, extensions=extensions) as client:
            yield client


def words(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def pictures(result: CallToolResult) -> list[ImageContent]:
    return [block for block in result.content if isinstance(block, ImageContent)]


def links(result: CallToolResult) -> list[ResourceLink]:
    return [block for block in result.content if isinstance(block, ResourceLink)]


def facts(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, words(result)
    assert result.structured_content is not None
    return dict(result.structured_content)
