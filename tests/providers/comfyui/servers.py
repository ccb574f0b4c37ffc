"""ComfyUI servers as processes that tests start, kill and start again on the same files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.server import eventually, free_port

ROOT = Path(__file__).parents[3]


class ComfyServer:
    """A server, started. ``folder`` has its files, which outlive it."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.log_path = folder.parent / f"{folder.name}.log"
        self._command = [*command, "--port", str(self.port)]
        self._environment = environment
        self.start()

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=self._environment
            )
        eventually(self._answers_or_is_over, "ComfyUI answers")
        assert self.process.poll() is None, self.log_path.read_text()[-2000:]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def ask(self, path: str, *, key: str = "") -> Any:
        return httpx.get(f"{self.base_url}{path}", headers=_headers(key)).json()

    def queue(self) -> tuple[list[str], list[str]]:
        """The ids of jobs that run, and of those that wait."""
        body = self.ask("/queue")
        running, waiting = ([item[1] for item in body[name]] for name in ("queue_running", "queue_pending"))
        return running, waiting

    def _answers_or_is_over(self) -> bool:
        if self.process.poll() is not None:
            return True
        try:
            return httpx.get(f"{self.base_url}/queue", timeout=5).status_code in (200, 401)
        except httpx.HTTPError:
            return False


class Fake(ComfyServer):
    """The fake. ``options`` are its command line's."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tests.providers.comfyui.fake", "--folder", str(folder), *options]
        super().__init__(command, folder)

    def taken(self) -> list[str]:
        """The ids of all jobs that it took since it started."""
        return list(self.ask("/_test/taken")["taken"])

    def command(self, key: str = "", **command: Any) -> None:
        """``loses_answer``: of the next order. ``breaks``: the next job. ``holds``: jobs do not end meanwhile."""
        httpx.post(f"{self.base_url}/_test/command", json=command, headers=_headers(key)).raise_for_status()


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
