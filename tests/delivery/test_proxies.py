"""Others send the bytes: nginx on the same machine, told by X-Accel-Redirect."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.delivery.house import House
from tests.support.server import eventually, free_port

NGINX = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
_CONFIG = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {upstream}; proxy_set_header Host $http_host; }}
{location}
    }}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@contextmanager
def nginx(folder: Path, upstream: str, media: Path) -> Iterator[str]:
    """nginx as docs/delivery.md has it; its address."""
    folder.mkdir()
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    location = documented_location().replace("/var/lib/safelight/media/", f"{media}/")
    config.write_text(_CONFIG.format(user=user, folder=folder, port=port, upstream=upstream, location=location))
    process = subprocess.Popen([str(NGINX), "-c", config, "-e", folder / "error.log"], stdin=subprocess.DEVNULL)
    try:
        base_url = f"http://127.0.0.1:{port}"
        eventually(lambda: is_up(base_url), "nginx")
        yield base_url
    finally:
        process.terminate()
        process.wait(30)


def documented_location() -> str:
    """The location as docs/delivery.md has it."""
    text = (Path(__file__).parents[2] / "docs/delivery.md").read_text()
    return text.partition("```nginx\n")[2].partition("```")[0]


def is_up(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


def test_nginx_sends_the_file(house: House, tmp_path: Path) -> None:
    content = secrets.token_bytes(1_000_003)
    planted = house.plant(content, mime_type="video/mp4")
    once = house.plant(b"delivered once", is_stored=False)
    with (
        house.beside({"SAFELIGHT_ACCEL_PREFIX": "/media-files"}) as inner,
        nginx(tmp_path / "nginx", inner.server.base_url, house.media) as outer,
    ):
        path = planted.url.removeprefix(house.server.base_url)
        direct = inner.get(path)
        assert direct.headers["x-accel-redirect"] == f"/media-files/{planted.key}" and direct.content == b""

        answer = httpx.get(outer + path)
        assert answer.status_code == 200 and answer.content == content
        ours = house.get(planted.url).headers
        own = {"server", "date", "connection", "cache-control", "x-request-id"}
        assert {name: answer.headers.get(name) for name in ours if name not in own} == {
            name: value for name, value in ours.items() if name not in own
        }
        assert "x-accel-redirect" not in answer.headers
        part = httpx.get(outer + path, headers={"Range": "bytes=1000-1999"})
        assert part.status_code == 206 and part.content == content[1000:2000]
        assert part.headers["content-range"] == f"bytes 1000-1999/{len(content)}"
        same = httpx.get(outer + path, headers={"If-None-Match": planted.etag})
        assert same.status_code == 304
        fresh = {"Range": "bytes=1000-1999", "If-Range": planted.etag}
        assert httpx.get(outer + path, headers=fresh).content == content[1000:2000]
        headed = httpx.head(outer + path)
        assert headed.status_code == 200 and headed.headers["content-length"] == str(len(content))

        assert httpx.get(f"{outer}/media-files/{planted.key}").status_code == 404, "it is internal"
        assert httpx.get(outer + path[:-1] + ("0" if path[-1] != "0" else "1")).status_code == 403
        late = house.link(planted.id, 0, 1_700_000_000).removeprefix(house.server.base_url)
        assert httpx.get(outer + late).status_code == 410

        delivered = httpx.get(outer + once.url.removeprefix(house.server.base_url))
        assert delivered.content == b"delivered once", "only the server itself notices a complete delivery"
        eventually(lambda: not Path(once.path).exists(), "its deletion")
