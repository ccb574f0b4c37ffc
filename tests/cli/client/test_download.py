"""Files fetched: gone on with where they broke off, checked by their SHA-256, whole under their name or not there."""

from __future__ import annotations

import asyncio
import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from safelight.cli.client import download as module
from safelight.cli.client.download import download, part_of
from safelight.cli.client.exits import CommandFailed, Misuse
from tests.cli.client.stand_in import Handler, connected
from tests.support.server import free_port

CONTENT = random.Random(1).randbytes(1_500_000)
ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'
NAME = "req-1-0.bin"


class Files:
    """Sends ``content``; the first answers are cut after so many bytes."""

    def __init__(self, *cuts: int, content: bytes = CONTENT, etag: str = ETAG, ranges: bool = True) -> None:
        self.cuts = list(cuts)
        self.content = content
        self.etag = etag
        self.ranges = ranges
        self.asked: list[tuple[str, str | None]] = []
        self.secrets: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("range")
        self.asked.append((request.method, wanted))
        self.secrets += [name for name in request.headers if name.lower() == "authorization"]
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        total = len(self.content)
        headers = {"etag": self.etag}
        if begin >= total:
            return web.Response(status=416, headers=headers | {"content-range": f"bytes */{total}"})
        rest = self.content[begin:]
        if begin:
            headers["content-range"] = f"bytes {begin}-{total - 1}/{total}"
        response = web.StreamResponse(status=206 if begin else 200, headers=headers)
        response.content_length = len(rest)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        if self.cuts:
            await response.write(rest[: self.cuts.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(rest)
        return response


def fetch(handler: Handler, target: Path, **options: Any) -> Path:
    async def scenario() -> Path:
        async with connected(handler) as connection:
            return await download(connection, connection.url("/x?sig=1"), target, name=NAME, **options)

    return asyncio.run(scenario())


def test_it_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    files = Files(100_000, 0, 700_000)
    assert fetch(files, tmp_path / "x.bin") == tmp_path / "x.bin"
    assert (tmp_path / "x.bin").read_bytes() == CONTENT
    assert files.asked[0] == ("GET", None)
    begins = [int(wanted.removeprefix("bytes=").rstrip("-")) for _, wanted in files.asked[1:] if wanted]
    assert begins == sorted(begins) and begins[-1] > 0
    assert len(files.asked) == 4
    assert files.secrets == [], "the key is not for links"
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


def test_it_goes_on_with_what_an_earlier_command_left(tmp_path: Path) -> None:
    part_of(tmp_path / "x.bin", NAME).write_bytes(CONTENT[:500_000])
    files = Files()
    fetch(files, tmp_path / "x.bin")
    assert files.asked == [("GET", "bytes=500000-")]
    assert (tmp_path / "x.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, b"x" * 500_000, CONTENT + b"x", b"x" * len(CONTENT)])
def test_what_was_left_and_is_whole_or_wrong(left: bytes, tmp_path: Path) -> None:
    part_of(tmp_path / "x.bin", NAME).write_bytes(left)
    fetch(Files(), tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


def test_a_server_without_ranges(tmp_path: Path) -> None:
    fetch(Files(600_000, ranges=False), tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT


def test_a_file_that_is_another_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="SHA-256"):
        fetch(Files(content=CONTENT + b"x"), tmp_path / "x.bin")
    assert not (tmp_path / "x.bin").exists()


def test_an_etag_that_is_no_sha256_is_a_stores_own(tmp_path: Path) -> None:
    fetch(Files(etag='"5d41402abc4b2a76b9719d911017c592-2"'), tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == CONTENT


def test_what_is_there_is_fetched_no_more_and_what_is_another_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    target.write_bytes(CONTENT)
    files = Files()
    assert fetch(files, target) == target
    assert files.asked == [("HEAD", None)]

    target.write_text("mine")
    with pytest.raises(Misuse, match="--force"):
        fetch(Files(), target)
    assert target.read_text() == "mine"
    assert fetch(Files(), target, may_rename=True) == tmp_path / NAME
    assert (target.read_text(), (tmp_path / NAME).read_bytes()) == ("mine", CONTENT)
    fetch(Files(), target, force=True)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_link_past_its_time(status: int, tmp_path: Path) -> None:
    async def gone(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    with pytest.raises(CommandFailed, match="past its time"):
        fetch(gone, tmp_path / "x.bin")


def test_patience_ends_and_what_came_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.5)
    with pytest.raises(CommandFailed, match="does not come"):
        fetch(Files(1000, *[0] * 100), tmp_path / "x.bin")
    assert part_of(tmp_path / "x.bin", NAME).read_bytes() == CONTENT[:1000]


def test_a_link_that_names_an_address_of_the_servers_own(tmp_path: Path) -> None:
    """As from a container: what it calls itself leads nowhere from here."""

    async def scenario() -> Path:
        async with connected(Files()) as connection:
            url = f"http://127.0.0.1:{free_port()}/x?sig=1"
            return await download(connection, url, tmp_path / "x.bin", name=NAME)

    assert asyncio.run(scenario()) == tmp_path / "x.bin"


def test_two_commands_do_not_write_to_one_file(tmp_path: Path) -> None:
    part = module.PartFile(tmp_path / "x.bin", NAME)
    with pytest.raises(CommandFailed, match="Another command"):
        fetch(Files(), tmp_path / "x.bin")
    part.close()
    fetch(Files(), tmp_path / "x.bin")
