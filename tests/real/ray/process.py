"""``safelight model-server`` as a process, with its catalog beside the weights."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.conformance.vendor import toml
from tests.support.server import COMMAND, Server, clean_environment, free_port

KEY = "sk-ray-0123456789"
_MARK = "SAFELIGHT_TEST_MARK"


def write_catalog(path: Path, pipelines: Sequence[dict[str, Any]], rest: str = "") -> Path:
    tables = "".join(
        "\n[[pipelines]]\n" + "".join(f"{name} = {toml(value)}\n" for name, value in entry.items())
        for entry in pipelines
    )
    path.write_text(rest + tables)
    return path


class ModelServerProcess(Server):
    """``states`` is how its pipelines stand."""

    def __init__(self, folder: Path, catalog: Path, *arguments: str) -> None:
        self.data_dir = folder
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.mark = secrets.token_hex(8)
        self.log_path = folder / f"model-server-{self.mark}.log"
        self.started_at = time.monotonic()
        (folder / "key").write_text(KEY)
        options = ["--catalog", str(catalog), "--port", str(self.port), "--key", f"file:{folder / 'key'}", *arguments]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [COMMAND, "model-server", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment({_MARK: self.mark, "HF_HUB_OFFLINE": "1"}),
                cwd="/",
                start_new_session=True,
            )
        self.client = httpx.Client(
            base_url=self.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=120, follow_redirects=False
        )

    def states(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.client.get("/health").json().get("models", {})
        except (httpx.HTTPError, ValueError):
            return {}
        return found

    def wait_until_settled(self, patience_seconds: float = 200) -> ModelServerProcess:
        """Wait until no pipeline is starting; itself."""
        deadline = time.monotonic() + patience_seconds
        while True:
            states = self.states()
            if states and all(state["status"] != "starting" for state in states.values()):
                return self
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"{states}\n{self.log}"
            time.sleep(0.5)

    def job(self, path: str, seconds: float = 60) -> dict[str, Any]:
        """A job, once it is over."""
        deadline = time.monotonic() + seconds
        while True:
            document: dict[str, Any] = self.client.get(path).json()
            if document.get("status") not in ("queued", "in_progress"):
                return document
            assert time.monotonic() < deadline, document
            time.sleep(0.1)


def run_command(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """``safelight`` to its end, in this environment."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
    )


def leftovers() -> list[str]:
    """Folders of a model server that ended."""
    return [entry.name for entry in os.scandir("/tmp") if entry.name.startswith(("sl-ray-", "safelight-models-"))]
