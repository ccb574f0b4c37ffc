"""Behind a proxy: the server has a public address with a path of its own, and nginx sends the files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.accounts import Account, Accounts
from tests.mcp.hosts import facts, host, links, pictures
from tests.mcp.test_http import modern, modern_headers, post
from tests.money.shop import settings_environment
from tests.support.postgres import TestDatabases
from tests.support.server import Server, running


@pytest.fixture(scope="module")
def proxied(databases: TestDatabases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder, url = tmp_path_factory.mktemp("proxied") / "data", databases.create()
    environment = settings_environment(folder, url, public_url="https://media.example.com/here")
    own = {"SAFELIGHT_MCP": "on", "SAFELIGHT_ACCEL_PREFIX": "/media-files"}
    started = Server(folder, command="serve", env=environment | own)
    with running(started):
        yield Accounts(started.wait_until_ready(), url).create()


@pytest.mark.parametrize(
    ("name", "origin", "status"),
    [
        ("media.example.com", "https://media.example.com", 200),
        ("media.example.com:443", "https://media.example.com", 200),
        ("media.example.com", "http://media.example.com", 403),
        ("media.example.com", "https://example.com", 403),
        ("example.com", "https://media.example.com", 421),
        ("media.example.com:8484", "https://media.example.com", 421),
    ],
)
def test_its_public_name_passes_and_no_other(proxied: Account, name: str, origin: str, status: int) -> None:
    headers = modern_headers("get_balance") | {"Host": name, "Origin": origin}
    assert post(proxied, modern("get_balance", {}), headers).status_code == status


async def test_pictures_and_references_are_read_here_whatever_sends_the_files(proxied: Account) -> None:
    async with host(proxied) as client:
        first = await client.call_tool("generate_image", {"prompt": "a hill"})
        [made] = facts(first)["generations"]
        second = await client.call_tool("generate_image", {"prompt": "at night", "reference_images": [made["id"]]})
    assert facts(second)["generations"][0]["status"] == "completed"
    [picture], [link] = pictures(first), links(first)
    assert picture.data
    assert str(link.uri).startswith("https://media.example.com/here/v2/downloads/")
    assert (link.size or 0) > 100
