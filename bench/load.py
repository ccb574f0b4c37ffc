"""HTTP load from another process: wrk, which takes little of the processor that the server needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.processes import cpu_seconds
from bench.servers import BenchError

_SCRIPT = Path(__file__).with_name("load.lua")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``server_cpu_ms`` is per request, in the order of the processes that were asked about."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    server_cpu_ms: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def wrk(
    url: str,
    keys: Sequence[str],
    *,
    concurrency: int,
    seconds: float,
    body: Mapping[str, object] | None = None,
    pids: Sequence[int] = (),
) -> Load:
    """GET, or POST a body, over ``concurrency`` connections for so long. Raises ``BenchError`` on any bad answer."""
    before = [cpu_seconds(pid) for pid in pids]
    with tempfile.NamedTemporaryFile("w", prefix="safelight-bench-keys-") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        arguments = ["GET", "", file.name] if body is None else ["POST", json.dumps(body), file.name]
        options = ["-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(_SCRIPT)]
        done = subprocess.run(
            [program(), *options, url, "--", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 60,
        )
    used = [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise BenchError(f"wrk said: {done.stdout}{done.stderr}")
    load = msgspec.json.decode(line.removeprefix("RESULT "), type=Load)
    if load.errors or not load.requests:
        raise BenchError(f"{load.errors} of {load.requests} requests to {url} failed.")
    return msgspec.structs.replace(load, server_cpu_ms=tuple(1000 * each / load.requests for each in used))


def program() -> str:
    """Where wrk is, installed if we may. Raises ``BenchError`` with the remedy."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "wrk"], capture_output=True, check=False, timeout=300)
    found = shutil.which("wrk")
    if found is None:
        raise BenchError("This bench needs wrk. Install it: apt-get install wrk")
    return found
