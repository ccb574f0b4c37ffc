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
from playwright.sync_api import Page

from tests.delivery import chromium
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
        assert answer.headers["x-request-id"], "and its own"
        assert {name: answer.headers.get(name) for name in ours if name not in own} == {
            name: value for name, value in ours.items() if name not in own
        }
        assert "x-accel-redirect" not in answer.headers
        part = httpx.get(outer + path, headers={"Range": "bytes=1000-1999"})
        assert part.status_code == 206 and part.content == content[1000:2000]
        assert part.headers["content-range"] == f"bytes 1000-1999/{len(content)}"
        same = httpx.get(outer + path, headers={"If-None-Match": planted.etag})
        assert same.status_code == 304
        for name in ("If-Range", "If-Match"):
            fresh = httpx.get(outer + path, headers={"Range": "bytes=1000-1999", name: planted.etag})
            assert (fresh.status_code, fresh.content) == (206, content[1000:2000]), name
        headed = httpx.head(outer + path)
        assert headed.status_code == 200 and headed.headers["content-length"] == str(len(content))

        beyond = httpx.get(outer + path, headers={"Range": "bytes=9999999-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
        for name in ("access-control-allow-origin", "content-security-policy", "x-content-type-options"):
            assert beyond.headers[name] == ours[name], "nginx's own errors are no less guarded, and can be read"

        assert httpx.get(f"{outer}/media-files/{planted.key}").status_code == 404, "it is internal"
        assert httpx.get(outer + path[:-1] + ("0" if path[-1] != "0" else "1")).status_code == 403
        late = house.link(planted.id, 0, 1_700_000_000).removeprefix(house.server.base_url)
        assert httpx.get(outer + late).status_code == 410

        delivered = httpx.get(outer + once.url.removeprefix(house.server.base_url))
        assert delivered.content == b"delivered once", "only the server itself notices a complete delivery"
        eventually(lambda: not Path(once.path).exists(), "its deletion")


@pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed")
def test_behind_nginx_links_work_in_a_browser_all_the_same(
    house: House, page: Page, origin: str, tmp_path: Path
) -> None:
    made = [house.image(output_format=output_format)["data"][0] for output_format in ("png", "jpeg", "webp")]
    video = house.video("scene", "a lighthouse in a storm")["data"][0]
    planted = house.plant(b"0123456789" * 100)
    with (
        house.beside({"SAFELIGHT_ACCEL_PREFIX": "/media-files"}) as inner,
        nginx(tmp_path / "nginx", inner.server.base_url, house.media) as outer,
    ):

        def through_nginx(url: str) -> str:
            return outer + url.removeprefix(house.server.base_url)

        for file, size in [*((file, [64, 64]) for file in made), (video, [480, 270])]:
            assert chromium.opened(page, through_nginx(file["url"])) == (size, "null", [])
            assert chromium.opened(page, through_nginx(file["thumbnail_url"])) == (size, "null", [])
        page.goto(origin)
        facts = chromium.played(page, through_nginx(video["url"]))
        assert facts["played"] and facts["currentTime"] == pytest.approx(3, abs=0.05) and facts["pixels"] > 0

        url = through_nginx(planted.url)
        for headers, status, body in (
            ({"Authorization": "Bearer sk_x", "Cache-Control": "no-cache"}, 200, planted.content),
            ({"Range": "bytes=-7"}, 206, planted.content[-7:]),
            ({"Range": "bytes=0-3", "If-Range": planted.etag}, 206, planted.content[:4]),
            ({"If-None-Match": planted.etag}, 304, b""),
            ({"If-Match": planted.etag}, 200, planted.content),
            ({"If-Match": '"stale"'}, 412, b""),
        ):
            answer = chromium.fetched(page, url, headers)
            assert (answer["status"], answer["body"], answer["headers"]["etag"]) == (status, body, planted.etag)
        several = chromium.fetched(page, url, {"Range": "bytes=0-3, 100-102"})
        assert several["status"] == 206 and several["headers"]["content-type"].startswith("multipart/byteranges")
        beyond = chromium.fetched(page, url, {"Range": "bytes=999999-"})
        assert (beyond["status"], beyond["headers"]["content-range"]) == (416, "bytes */1000")
        assert chromium.fetched(page, url[:-1])["status"] == 403
        assert chromium.fetched(page, url, method="POST")["status"] == 405
