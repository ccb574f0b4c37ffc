"""sd-server as a process, with random weights: a picture is 64x64 and takes two steps unless it is asked otherwise."""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path

import httpx

from tests.real import build
from tests.support.server import eventually, free_port

MEMORY_BYTES = 4 << 30


class Engine:
    """A running sd-server. ``log`` is what it printed, one line for each picture begun and each one finished."""

    def __init__(self, folder: Path, *arguments: str, memory_bytes: int = MEMORY_BYTES) -> None:
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / f"sd-server-{self.port}.log"
        model = ["--model", str(build.FOLDER / "model.safetensors"), "--taesd", str(build.FOLDER / "tae.safetensors")]
        small = ["--width", "64", "--height", "64", "--steps", "2", "--cfg-scale", "1", "--threads", "2"]
        listen = ["--listen-ip", "127.0.0.1", "--listen-port", str(self.port)]
        started = time.monotonic()
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [build.SERVER, *model, *small, *listen, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,  # it looks for LoRAs in the folder that it stands in, and all below
                # It checks no upper bound: what is too large for it is to fail, and not to take the machine along.
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes)),
            )
        eventually(self._answers_or_is_over, "sd-server answers")
        self.start_seconds = time.monotonic() - started
        assert self.process.poll() is None, self.log

    def _answers_or_is_over(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/v1/models", timeout=10).status_code == 200
        except httpx.TransportError:
            return self.process.poll() is not None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def begun(self) -> int:
        return self.log.count("generating image: ")

    @property
    def finished(self) -> int:
        return self.log.count("generate_image completed")

    @property
    def peak_bytes(self) -> int:
        """The most memory that it has held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (peak,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(peak.split()[1]) * 1024

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
