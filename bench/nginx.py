"""nginx (Debian's package) as a peer: one worker that sends a folder's files by links it checks itself."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.servers import BenchError
from tests.support.nginx import Front, front

_CONFIG = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    types {{ image/png png; video/mp4 mp4; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {upstream}
    server {{
        listen 127.0.0.1:{port};
        {behind}
        location /media/ {{
            root {root};
            secure_link $arg_md5,$arg_expires;
            secure_link_md5 "$secure_link_expires$uri {secret}";
            if ($secure_link = "") {{ return 403; }}
            if ($secure_link = "0") {{ return 410; }}
        }}
    }}
}}
"""
_UPSTREAM = "upstream safelight {{ server {address}; keepalive 32; }}"
_BEHIND = """
        location /v2/ {{ proxy_pass http://safelight; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        location /media-files/ {{ internal; alias {root}/; }}
"""
_READY_SECONDS = 20.0


class Nginx:
    """A running nginx."""

    def __init__(self, port: int, secret: str, pid: int) -> None:
        self.pid = pid
        self.base_url = f"http://127.0.0.1:{port}"
        self._secret = secret

    def path(self, key: str) -> str:
        """A link to a file, as ``ngx_http_secure_link_module`` checks it."""
        expires = int(time.time()) + 3600
        digest = hashlib.md5(f"{expires}/{key} {self._secret}".encode(), usedforsecurity=False).digest()
        return f"/{key}?md5={base64.urlsafe_b64encode(digest).decode().rstrip('=')}&expires={expires}"


@contextlib.contextmanager
def nginx(base: Path, root: Path, *, upstream: str | None = None) -> Iterator[Nginx]:
    """Serve the files in ``media`` below ``root``; with an ``upstream`` also what that names by X-Accel-Redirect."""
    folder = base / f"nginx-{secrets.token_hex(3)}"
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    secret = secrets.token_hex(16)
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    text = _CONFIG.format(
        user=user,
        folder=folder,
        port=port,
        root=root,
        secret=secret,
        upstream=_UPSTREAM.format(address=upstream.removeprefix("http://")) if upstream else "",
        behind=_BEHIND.format(root=root) if upstream else "",
    )
    config.write_text(text)
    process = subprocess.Popen([program(), "-c", config, "-e", folder / "error.log"], stdin=subprocess.DEVNULL)
    try:
        _wait(process, port, folder)
        yield Nginx(port, secret, process.pid)
    finally:
        process.terminate()
        process.wait(_READY_SECONDS)


@contextlib.contextmanager
def checking_links(base: Path, data: Path, env: dict[str, str]) -> Iterator[Front]:
    """nginx as ``safelight nginx-config`` configures it, in front of nothing. One worker, as the peer."""
    folder = base / f"front-{secrets.token_hex(3)}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "safelight", "nginx-config", "--output", folder, "--data-dir", data]
    subprocess.run(
        [*command, "--listen", f"127.0.0.1:{port}"], env={**os.environ, **env}, check=True, capture_output=True
    )
    with front(folder, port) as running:
        yield running


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    give_up_at = time.monotonic() + _READY_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise BenchError(f"nginx did not start:\n{(folder / 'error.log').read_text()}")


def program() -> str:
    """Where nginx is, installed if we may. Raises ``BenchError`` with the remedy."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    if shutil.which("nginx", path=search) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "nginx"], capture_output=True, check=False, timeout=300)
    found = shutil.which("nginx", path=search)
    if found is None:
        raise BenchError("This bench needs nginx. Install it: apt-get install nginx")
    return found
