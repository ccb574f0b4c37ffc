"""``SAFELIGHT_OPENAI_SIZES=exact``, as a server takes it from its settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.money.shop import settings_environment
from tests.openai_dialect.conftest import CATALOG
from tests.support.server import Server
from tests.support.tenants import Tenant


@pytest.fixture
def exact_server(tmp_path: Path, database_url: str) -> Iterator[Server]:
    folder = tmp_path / "data"
    environment = settings_environment(folder, database_url)
    environment |= {"SAFELIGHT_CATALOG": str(CATALOG), "SAFELIGHT_OPENAI_SIZES": "exact"}
    started = Server(folder, command="serve", env=environment)
    try:
        yield started.wait_until_ready()
        started.stop()
    finally:
        started.kill_everything()


def test_only_listed_sizes_are_made(exact_server: Server, customer: Tenant) -> None:
    url = f"{exact_server.base_url}/v1/images/generations"
    body = {"model": "still", "prompt": "a red boat"}
    refused = httpx.post(url, json={**body, "size": "1024x1536"}, headers=customer.headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "size")
    assert "1024x1024, 1248x832, 832x1248" in refused.json()["error"]["message"]
    for size in ("832x1248", "auto", None):
        answer = httpx.post(url, json={**body, "size": size}, headers=customer.headers, timeout=60)
        assert answer.status_code == 200, answer.text
