"""Someone who follows a page of docs/clients/: in one shell session and one folder, block after block."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.clients.pages import Block
from tests.contract.accounts import Account
from tests.support.server import PATIENCE_SECONDS, clean_environment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NODE = str(Path(sys.executable).with_name("node"))
ADDRESS, KEY = "http://127.0.0.1:8484", "sk_..."
SETTINGS = {"dotenv", "json", "toml", "yaml"}
_ENDED_WITH = ".environment"


class Reader:
    """``folder`` is where files are saved and programs run; ``environment`` is the session's, and changes with it.

    The address and the key that pages write become those of ``account``; ``swaps`` are more of that kind, such as a
    port that is free here.
    """

    def __init__(
        self,
        folder: Path,
        account: Account,
        *,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
        swaps: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.environment = clean_environment({**exported(account), **(environment or {})})
        here = str(Path(sys.executable).parent)
        self.environment["PATH"] = f"{Path(python).parent}:{here}:{self.environment['PATH']}"
        self._python = python
        self._swaps = {ADDRESS: account.base_url, KEY: account.key, **(swaps or {})}
        with_packages(folder)

    def follow(self, block: Block) -> str:
        """Save a block, run it unless it is settings; what it printed."""
        text = self.swapped(block.text)
        if block.title is None:
            return self.shell(text)
        (self.folder / block.title).write_text(text)
        if block.language in SETTINGS:
            return ""
        return self._run([{"python": self._python, "javascript": NODE, "sh": "sh"}[block.language], block.title])

    def shell(self, text: str) -> str:
        """Type something; variables that it exports stay."""
        printed = self._run(["sh", "-euc", f"{text}\nenv -0 > {_ENDED_WITH}"])
        lines = (self.folder / _ENDED_WITH).read_text().split("\0")
        self.environment = dict(line.split("=", 1) for line in lines if line)
        return printed

    def swapped(self, text: str) -> str:
        for written, here in self._swaps.items():
            text = text.replace(written, here)
        return text

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


def with_packages(folder: Path) -> None:
    """Let programs in a folder find the packages that they name, as `npm install` would."""
    (folder / "node_modules").symlink_to(HERE / "node_modules")


def exported(account: Account) -> dict[str, str]:
    """What a reader exports before anything else."""
    return {"SAFELIGHT_BASE_URL": account.base_url, "SAFELIGHT_API_KEY": account.key}


def run_node(script: str, environment: Mapping[str, str], *arguments: str) -> str:
    """What a program of this folder prints, with ``environment`` besides this process's own."""
    done = subprocess.run(
        [NODE, str(HERE / script), *arguments],
        env=clean_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
