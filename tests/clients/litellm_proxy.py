"""LiteLLM's proxy as a process, in its own environment, without a way to anything but this machine."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.clients.reader import ROOT
from tests.support.server import PATIENCE_SECONDS

PYTHON = str(ROOT / "build" / "litellm" / "bin" / "python")
_LOOPBACK_ONLY = Path(__file__).with_name("loopback_only")


def at_home(folder: Path) -> dict[str, str]:
    """The environment in which a program of Python's reaches only this machine, and its tries at more are counted."""
    return {"PYTHONPATH": str(_LOOPBACK_ONLY), "CALLS_ABROAD": str(folder / "calls-abroad")}


def calls_abroad(folder: Path) -> list[str]:
    """The hosts that a program with ``at_home(folder)`` tried to reach."""
    path = folder / "calls-abroad"
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def running(command: list[str], port: int, *, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """The proxy, listening; gone at the end."""
    output = folder / "litellm.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_it_listens(process, port, output)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait(PATIENCE_SECONDS)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health/liveliness").status_code == 200:
                return
        assert process.poll() is None, output.read_text(errors="replace")
        assert time.monotonic() < deadline, output.read_text(errors="replace")
        time.sleep(0.1)
