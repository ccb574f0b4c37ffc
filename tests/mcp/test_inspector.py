"""The official inspector lists and calls every tool: over HTTP in both eras, and on standard streams."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.accounts import Account
from tests.mcp.test_stdio import environment
from tests.mcp.test_tools import TOOLS
from tests.support.server import COMMAND

CLIENTS = Path(__file__).parents[1] / "clients/node_modules"  # laid by `make test`
_INSPECTOR = CLIENTS / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"


class Inspector:
    def __init__(self, account: Account, folder: Path, transport: str, era: str) -> None:
        self._environment = environment(account, folder)
        self._folder = folder
        if transport == "http":
            header = f"Authorization: Bearer {account.key}"
            self._target = ["--server-url", f"{account.base_url}/mcp", "--transport", "http", "--header", header]
        else:
            given = [
                f"{name}={self._environment[name]}"
                for name in ("SAFELIGHT_BASE_URL", "SAFELIGHT_API_KEY", "PYTHONPATH")
                if name in self._environment
            ]
            self._target = [COMMAND, "mcp", *(part for each in given for part in ("-e", each))]
        self._era = era

    def ask(self, method: str, *options: str) -> Any:
        ran = subprocess.run(
            [
                Path(sys.executable).with_name("node"),
                _INSPECTOR,
                "--cli",
                *self._target,
                "--protocol-era",
                self._era,
                "--format",
                "json",
                "--quiet",
                "--connect-timeout",
                "60000",
                "--method",
                method,
                *options,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            env=self._environment,
            cwd=self._folder,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return json.loads(ran.stdout)

    def call(self, tool: str, **arguments: Any) -> Any:
        found = self.ask("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return found.get("result", found)["structuredContent"]


def listed(inspector: Inspector) -> list[str]:
    answer = inspector.ask("tools/list", "--strict")
    return [tool["name"] for tool in answer.get("result", answer)["tools"]]


def test_the_inspector_lists_and_calls_every_tool(account: Account, tmp_path: Path) -> None:
    inspector = Inspector(account, tmp_path, "http", "modern")
    assert listed(inspector) == TOOLS
    [image] = inspector.call("generate_image", prompt="a hill")["generations"]
    video = inspector.call("generate_video", prompt="a hill", first_frame=image["id"])
    assert image["status"] == video["status"] == "completed"
    assert inspector.call("quote", type="video", duration=10)["total_cost"] == 1
    assert inspector.call("list_models")["models"]
    assert inspector.call("get_generation", id=image["id"], wait_seconds=1)["id"] == image["id"]
    assert [each["id"] for each in inspector.call("list_generations")["data"]] == [video["id"], image["id"]]
    assert inspector.call("cancel_generation", id=video["id"])["cancellation"] == "too_late"
    assert inspector.call("get_balance")["balance"] == "999.45"


@pytest.mark.parametrize(("transport", "era"), [("http", "legacy"), ("stdio", "auto")])
def test_it_lists_and_calls_them_another_way(account: Account, tmp_path: Path, transport: str, era: str) -> None:
    inspector = Inspector(account, tmp_path, transport, era)
    assert listed(inspector) == TOOLS
    [image] = inspector.call("generate_image", prompt="a hill")["generations"]
    assert image["status"] == "completed"
