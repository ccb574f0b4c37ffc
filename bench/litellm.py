"""LiteLLM's proxy as a peer: the newest that can be installed, in a virtual environment of its own, one worker.

It has no database, so it holds and books nothing, and keeps no file. Its settings are those that ship, but that it
fetches nothing from the network at its start, and tells nobody of its use.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

from bench.servers import BenchError, free_port

KEY = "sk-bench"
_PACKAGE = "litellm[proxy]"
_READY_SECONDS = 120.0
_STOP_SECONDS = 20.0
_CONFIG = """
model_list:
  - model_name: image
    litellm_params: {{ model: openai/gpt-image-1, api_base: "{api_base}", api_key: sk-instant }}
litellm_settings: {{ telemetry: false }}
general_settings: {{ master_key: {key} }}
"""


class LiteLLM:
    """A running proxy."""

    def __init__(self, pid: int, port: int, version: str) -> None:
        self.pid = pid
        self.base_url = f"http://127.0.0.1:{port}"
        self.version = version
        self.ready_seconds = 0.0


@contextlib.contextmanager
def litellm(base: Path, api_base: str) -> Iterator[LiteLLM]:
    """The proxy before an API at ``api_base``, as model ``image``, once it answers."""
    python = _python()
    version = _version(python)
    config, log, port = base / "litellm.yaml", base / "litellm.log", free_port()
    config.write_text(_CONFIG.format(api_base=api_base, key=KEY))
    started_at = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python.with_name("litellm"), "--config", config, "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            cwd=base,
        )
    proxy = LiteLLM(process.pid, port, version)
    try:
        while not _is_ready(proxy):
            if process.poll() is not None or time.monotonic() - started_at > _READY_SECONDS:
                raise BenchError(f"LiteLLM did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)
        proxy.ready_seconds = time.monotonic() - started_at
        yield proxy
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()


def _is_ready(proxy: LiteLLM) -> bool:
    try:
        with urlopen(f"{proxy.base_url}/health/liveliness", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _python() -> Path:
    """The interpreter of its environment, made or brought up to date first. Raises ``BenchError``."""
    python = Path(sys.prefix) / "peers" / "litellm" / "bin" / "python"
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not python.exists():
        _command([uv, "venv", "--quiet"] if uv else [sys.executable, "-m", "venv"], str(python.parents[1]))
    install = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    try:
        _command([*install, "--quiet", "--upgrade"], _PACKAGE)
    except BenchError:
        if not python.with_name("litellm").exists():  # else the one that is there is measured, and its version told
            raise
    return python


def _command(words: list[str], last: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("UV_PYTHON", "VIRTUAL_ENV")}
    done = subprocess.run([*words, last], capture_output=True, text=True, check=False, timeout=600, env=environment)
    if done.returncode:
        raise BenchError(f"This bench needs LiteLLM, which could not be installed: {done.stderr[-1000:]}")


def _version(python: Path) -> str:
    code = "import importlib.metadata as found; print(found.version('litellm'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
