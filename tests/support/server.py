"""Real server processes: started on a free port, waited for, stopped, and looked for afterwards.

Every process that a test starts carries a mark in its environment, and its children inherit it. So ``remaining``
finds them all, orphans included, without guessing from names.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

COMMAND = str(Path(sys.executable).with_name("safelight"))
PATIENCE_SECONDS = 90.0
_MARK = "SAFELIGHT_TEST_MARK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that the user of an embedded database may pass through.

    Not one of pytest's: those are closed to others, and closed again whenever another session starts.
    """
    with tempfile.TemporaryDirectory(prefix="safelight-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without Safelight's own settings, and ``extra``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAFELIGHT_")}
    return kept | dict(extra or {})


def safelight(*arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        cwd="/",
    )


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition`` holds; fail with ``what`` if it does not in a long time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


class Server:
    """``safelight COMMAND`` as a process, on a data folder of its own. ``log`` is what it printed."""

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        command: str = "up",
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        log_folder: Path | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.mark = secrets.token_hex(8)
        self.log_path = (log_folder or data_dir.parent) / f"{data_dir.name}-{command}-{self.mark}.log"
        options = ["--data-dir", str(data_dir)]
        if command != "worker":
            options += ["--port", str(self.port)]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [COMMAND, command, *options, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment({**(env or {}), _MARK: self.mark}),
                cwd="/",
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def key(self) -> str:
        """The key of the default workspace."""
        return (self.data_dir / "api-key").read_text().strip()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def wait_until_ready(self) -> Server:
        """Wait for ``/readyz``; itself. Fails with the log if the process ends first."""
        eventually(self._is_ready_or_over, f"ready:\n{self.log}")
        assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
        return self

    def _is_ready_or_over(self) -> bool:
        if self.process.poll() is not None:
            return True
        try:
            return httpx.get(f"{self.base_url}/readyz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def processes(self) -> list[psutil.Process]:
        """Every living process of it, orphans included."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; its exit status. No process of it may be left."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_SECONDS)
        left = [" ".join(process.cmdline()) for process in self.processes()]
        assert not left, f"still there: {left}"
        return status

    def kill_everything(self) -> None:
        """For the end of a test that may have failed."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        self.process.wait(PATIENCE_SECONDS)


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """While inside they may run; then each is stopped, and nothing of it is left, whatever happened."""
    try:
        yield
        for each in servers:
            each.stop()
    finally:
        for each in servers:
            each.kill_everything()
