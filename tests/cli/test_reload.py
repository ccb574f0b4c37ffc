"""SIGHUP takes up a changed catalog and changed signing keys; a wrong one leaves things as they are."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.support.server import Server, eventually, safelight

SHIPPED = Path(__file__).parents[2] / "src/safelight/catalog.toml"


def ask(server: Server, path: str) -> Any:
    """The answer's JSON; None where a process that is just being replaced gives none."""
    try:
        answer = httpx.get(f"{server.base_url}{path}", headers=server.headers, timeout=30)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None


def models(server: Server) -> set[str]:
    return {model["id"] for model in ask(server, "/v2/models") or []}


def link(server: Server, generation_id: str) -> str | None:
    found = ask(server, f"/v2/images/generations/{generation_id}")
    return str(found["data"][0]["url"]) if found else None


def test_a_hangup_takes_up_catalog_and_keys_and_refuses_wrong_ones(
    fresh_server: Callable[..., Server], server_folder: Path
) -> None:
    catalog = server_folder / "catalog.toml"
    catalog.write_text(SHIPPED.read_text().replace('connection = "builtin"', 'connection = "noop"'))
    server = fresh_server(env={"SAFELIGHT_CATALOG": str(catalog)}).wait_until_ready()
    made = httpx.post(
        f"{server.base_url}/v2/images/generations",
        json={"model": "seedream-5-lite", "prompt": "x"},
        headers=server.headers,
        timeout=60,
    ).json()

    catalog.write_text(catalog.read_text().replace('id = "z-image-turbo"', 'id = "renamed"'))
    assert safelight("signing-keys", "add", "--data-dir", server.data_dir).returncode == 0
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "renamed" in models(server), "the changed catalog")
    assert httpx.get(made["data"][0]["url"], timeout=30).status_code == 200, "the old key still verifies"
    eventually(lambda: link(server, made["id"]) not in (None, made["data"][0]["url"]), "the new key signs")

    good = catalog.read_text()
    misspelt = good.replace('{ connection = "noop" }', '{ connection = "noop", options = { delay_second = 1 } }')
    for count, wrong in enumerate(("models = 5", misspelt, good.replace('"noop"', '"nope"')), start=1):
        catalog.write_text(wrong)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda c=count: server.log.count("not reloaded") >= 2 * c, "API and worker do not reload")
        eventually(lambda: "renamed" in models(server), "it serves as before")
    assert "options.delay_second: there is no such key. Did you mean delay_seconds?" in server.log
    assert "there is no connection 'nope'" in server.log
    assert server.process.poll() is None
    assert server.stop() == 0
