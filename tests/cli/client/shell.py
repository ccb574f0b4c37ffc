"""The command as its users have it: a process in a folder of theirs, with a home of theirs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.contract.accounts import Account
from tests.support.server import COMMAND, PATIENCE_SECONDS, clean_environment

ID = re.compile(r"req-[0-7][0-9A-HJKMNP-TV-Z]{25}")


class Ran:
    """What a command that ended wrote, and its exit status."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.status = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    def __repr__(self) -> str:
        return f"status {self.status}\n{self.out}\n{self.err}"

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def id(self) -> str:
        """The first id that it told on stderr."""
        found = ID.search(self.err)
        assert found, self
        return found[0]


class Shell:
    """One user's commands for ``account``, in ``folder``. No output of them may have the key in it."""

    def __init__(self, account: Account, folder: Path, **environment: str) -> None:
        self.account = account
        self.folder = folder / "work"
        self.folder.mkdir(parents=True)
        self.home = folder
        self.environment = {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "SAFELIGHT_BASE_URL": account.base_url,
            "SAFELIGHT_API_KEY": account.key,
            **environment,
        }

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [COMMAND, *arguments],
            env=clean_environment({**self.environment, **(env or {})}),
            cwd=self.folder,
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "start_new_session": True,
                **options,
            },
        )

    def end(self, process: subprocess.Popen[bytes], content: bytes | None = None) -> Ran:
        """Wait for its end."""
        out, err = process.communicate(content, timeout=PATIENCE_SECONDS)
        ran = Ran(subprocess.CompletedProcess(process.args, process.returncode, out or b"", err or b""))
        assert self.account.key not in ran.out + ran.err
        assert "Traceback" not in ran.err and "fault of Safelight's own" not in ran.err, ran
        return ran

    def run(
        self,
        *arguments: str,
        content: bytes | None = None,
        env: Mapping[str, str] | None = None,
        preexec_fn: Callable[[], None] | None = None,
    ) -> Ran:
        """Run one command to its end, with ``content`` on stdin."""
        stdin = subprocess.DEVNULL if content is None else subprocess.PIPE
        return self.end(self.start(*arguments, env=env, stdin=stdin, preexec_fn=preexec_fn), content)

    def ok(self, *arguments: str, **options: Any) -> Ran:
        ran = self.run(*arguments, **options)
        assert ran.status == 0, ran
        return ran

    def refused(self, status: int, *arguments: str, **options: Any) -> str:
        """Run a command that must fail; what it said, in one line, last."""
        ran = self.run(*arguments, **options)
        assert ran.status == status, ran
        said = ran.err.strip().splitlines()[-1]
        assert said.startswith("safelight: "), ran
        return said

    def files(self) -> set[str]:
        """Every file in its folder, hidden ones too."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_bytes()) for path in sorted((self.home / "state/safelight/orders").glob("*.json"))]

    def http(self) -> httpx.Client:
        return self.account.http()

    def generations(self) -> list[dict[str, Any]]:
        with self.http() as http:
            return list(http.get("/v2/generations?limit=100").json()["data"])

    def balance(self) -> str:
        with self.http() as http:
            return str(http.get("/v2/billing/balance").json()["balance"])
