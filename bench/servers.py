"""Real servers on loopback: the embedded PostgreSQL, and Safelight's own commands, each ended with its block."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from safelight.db.embedded import EmbeddedPostgres
from safelight.db.migrate import migrate

COMMAND = Path(sys.executable).with_name("safelight")
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0


class BenchError(Exception):
    """A bench cannot go on; the message says why."""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder. ``TMPDIR`` chooses the disk that is measured."""
    with tempfile.TemporaryDirectory(prefix="safelight-bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)


class Postgres:
    """The embedded PostgreSQL with Safelight's tables. ``pid`` is its first process."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid


@contextlib.contextmanager
def postgres(base: Path) -> Iterator[Postgres]:
    server = EmbeddedPostgres(base / "database", dies_with_caller=True)
    url = server.open()
    try:
        migrate(url)
        if server.pid is None:
            raise BenchError("The embedded PostgreSQL has ended at its start.")
        yield Postgres(url, server.pid)
    finally:
        server.close()


class Server:
    """A Safelight process. ``ready_seconds`` is how long its start took, up to the first good ``/readyz``."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.pid = process.pid
        self.base_url = f"http://127.0.0.1:{port}"
        self.ready_seconds = 0.0
        self._process = process
        self._log = log

    def wait_until_ready(self, started_at: float) -> None:
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() - started_at > _READY_SECONDS:
                raise BenchError(f"The server did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)
        self.ready_seconds = time.monotonic() - started_at

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.base_url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextlib.contextmanager
def safelight(
    command: str, data_dir: Path, environment: Mapping[str, str] | None = None, *, port: int | None = None
) -> Iterator[Server]:
    """``safelight up``, ``serve`` or ``worker`` on a data folder, without any setting from outside."""
    port = port or free_port()
    log = data_dir.parent / f"{data_dir.name}-{command}-{secrets.token_hex(3)}.log"
    options = ["--data-dir", str(data_dir)] + ([] if command == "worker" else ["--port", str(port)])
    started_at = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [COMMAND, command, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean(environment or {}),
            cwd=data_dir.parent,
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        if command != "worker":
            server.wait_until_ready(started_at)
        yield server
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def clean(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any of Safelight's settings, and with ``extra``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAFELIGHT_")}
    return kept | dict(extra)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
