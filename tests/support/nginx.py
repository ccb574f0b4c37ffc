"""A real nginx with the configuration that ``safelight nginx-config`` writes, its logs and its process in a folder."""

from __future__ import annotations

import http.client
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest

from safelight.cli import run

NGINX = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
HAS_NJS = Path("/usr/lib/nginx/modules/ngx_http_js_module.so").exists()
_STARTS_SECONDS = 20.0

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers by lower-case name, body."""


class Front:
    """A running nginx; ``folder`` holds what the command wrote, and its logs."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.port = port
        self.pid = process.pid
        self.base_url = f"http://127.0.0.1:{port}"
        self._process = process

    def reload(self) -> None:
        """Read the configuration anew, and wait until the workers of before take no connection any more."""
        before = self._workers()
        self._process.send_signal(signal.SIGHUP)
        give_up_at = time.monotonic() + _STARTS_SECONDS
        while before & self._workers():
            assert time.monotonic() < give_up_at, "the workers of before are still there"
            time.sleep(0.02)

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))

    def _workers(self) -> set[int]:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return {int(child) for child in children}


@contextmanager
def front(folder: Path, port: int) -> Iterator[Front]:
    """Run what ``safelight nginx-config --output FOLDER --listen 127.0.0.1:PORT`` wrote."""
    config = folder / "nginx.conf"
    adapt(config, folder)
    command = [str(NGINX), "-c", config, "-e", folder / "start.log", "-g", "daemon off;"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _wait(process, port, folder)
        yield Front(folder, port, process)
    finally:
        process.terminate()
        process.wait(30)


def adapt(config: Path, folder: Path) -> None:
    """Logs, the process id and temporary files in the folder, and one worker that is this user."""
    text = config.read_text().replace("/var/log/nginx/", f"{folder}/").replace("/run/nginx.pid", f"{folder}/nginx.pid")
    user = "user root;" if os.geteuid() == 0 else ""
    text = re.sub(r"user www-data[^;]*;", user, text).replace("worker_processes auto;", "worker_processes 1;")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    config.write_text(text.replace("http {\n", "http {\n" + temporary, 1))


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    give_up_at = time.monotonic() + _STARTS_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nginx did not start:\n{(folder / 'start.log').read_text()}")


def command(env: Mapping[str, str], data_dir: Path, *arguments: str) -> tuple[int, str, str]:
    """Run ``safelight nginx-config`` in this process: status, and what it said."""
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as errors,
    ):
        for name, value in env.items():
            patch.setenv(name, value)
        status = run(["nginx-config", *arguments, "--data-dir", str(data_dir)])
    return status, out.getvalue(), errors.getvalue()


def write_config(env: Mapping[str, str], data_dir: Path, folder: Path, port: int, *more: str) -> None:
    """Write the configuration to ``folder``, for an nginx at that port."""
    status, _, errors = command(env, data_dir, "--output", str(folder), "--listen", f"127.0.0.1:{port}", *more)
    assert status == 0, errors


def answer(port: int, target: str | bytes, headers: list[tuple[str, str]] | None = None, method: str = "GET") -> Answer:
    """The answer to a request whose target is sent as it is; nothing but the status if it is no HTTP."""
    raw = target if isinstance(target, bytes) else target.encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers or [])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = b"%b %b HTTP/1.1\r\nHost: x\r\n" % (method.encode(), raw)
        connection.sendall(head + fields.encode() + b"Connection: close\r\n\r\n")
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
            body = response.read()
        except http.client.HTTPException:
            return 0, {}, b""
        fields_of: dict[str, str] = {}
        for name, value in response.getheaders():
            assert name.lower() not in fields_of, f"{name} comes twice"
            fields_of[name.lower()] = value
        return response.status, fields_of, body
