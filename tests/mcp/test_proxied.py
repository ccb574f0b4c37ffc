"""Behind a proxy: the server has a public address with a path of its own, and nginx sends the files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.accounts import Account, Accounts, embedded_database
from tests.mcp.conftest import settings
from tests.mcp.hosts import facts, host, links, pictures
from tests.mcp.test_http import modern, modern_headers, post
from tests.support.server import Server, open_folder


@pytest.fixture(scope="module")
def proxied() -> Iterator[Account]:
    own = {"SAFELIGHT_PUBLIC_URL": "https://media.example.com/here", "SAFELIGHT_ACCEL_PREFIX": "/media-files"}
    with open_folder() as folder:
        started = Server(folder / "data", env=settings(folder) | own)
        try:
            started.wait_until_ready()
            with embedded_database(started) as url:
                yield Accounts(started, url).create()
            started.stop()
        finally:
            started.kill_everything()


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
