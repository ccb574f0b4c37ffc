"""Files fetched by their signed links: gone on with where they broke off, checked, and there whole or not at all."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from safelight.cli.client.connection import NETWORK_TROUBLE, Connection, proxy_of
from safelight.cli.client.exits import Answered, CommandFailed, Misuse
from safelight.cli.client.targets import explained

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.3
_PIECE_BYTES = 256 << 10
_CONNECT_SECONDS = 10.0
_QUIET_SECONDS = 60.0
_SHA256 = re.compile(r'"([0-9a-f]{64})"')
_FROM = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_ALL = re.compile(r"bytes \*/(\d+)")
_NO_LINK = "The file's link, as the server tells it, leads nowhere."


class PartFile:
    """What has come of a file, beside where it will be; one of an earlier command is gone on with.

    Its name tells the generation, so no two are mixed up; a lock keeps two commands from writing to the same.
    """

    def __init__(self, target: Path, name: str) -> None:
        self.target = target
        self.path = part_of(target, name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
        except OSError as error:
            raise CommandFailed(explained(error, target.parent)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise CommandFailed(f"Another command is writing {target} now.") from None
        except OSError:
            pass  # a file system without locks
        self.size = self._file.tell()

    def write(self, content: bytes) -> None:
        """Raises ``CommandFailed``; what did come stays."""
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            with suppress(OSError):
                self._file.close()
            raise CommandFailed(explained(error, self.target.parent)) from None
        self.size += len(content)

    def restart(self) -> None:
        """Forget what has come."""
        self._file.truncate(0)
        self._file.seek(0)
        self.size = 0

    def sha256(self) -> str | None:
        return _sha256(self.path)

    def finish(self, *, force: bool, otherwise: str | None) -> Path:
        """Put it into its place; the path. A file that is there is left alone: then it is called ``otherwise``."""
        try:
            os.fsync(self._file.fileno())
            path = self._place(force, otherwise)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                with suppress(OSError):
                    os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise CommandFailed(explained(error, self.target.parent)) from None
        finally:
            self.close()
        return path

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()

    def _place(self, force: bool, otherwise: str | None) -> Path:
        if force:
            self.path.replace(self.target)
            return self.target
        for path in (self.target, *([self.target.with_name(otherwise)] if otherwise else [])):
            try:
                os.link(self.path, path)
            except FileExistsError:
                continue
            except OSError:  # no links here: look, then move
                if path.exists():
                    continue
                self.path.replace(path)
                return path
            self.path.unlink()
            return path
        raise Misuse(f"{self.target} is there already. Choose another name, or replace it with --force.")


async def download(
    connection: Connection,
    url: str,
    target: Path,
    *,
    name: str,
    force: bool = False,
    may_rename: bool = False,
    on_bytes: Callable[[int, int | None], None] = lambda size, total: None,
) -> Path:
    """Fetch a file to where it belongs; the path. It is not fetched where it is already.

    ``name``: the file's own, by which a part of it is known again; with ``may_rename`` it is called so where another
    file has the target's name. ``on_bytes`` is told how many have come, and of how many. Raises ``CommandFailed``; what
    came by then stays for the next try.
    """
    _check_link(url)
    if await _is_there(connection, url, target):
        part_of(target, name).unlink(missing_ok=True)
        return target
    part = PartFile(target, name)
    try:
        for _ in range(2):
            digest = await _complete(connection, url, part, on_bytes)
            if digest is None or await asyncio.to_thread(part.sha256) == digest:
                break
            part.restart()
        else:
            raise CommandFailed("The file that came is not the one that was made: its SHA-256 is another.")
        return await asyncio.to_thread(part.finish, force=force, otherwise=name if may_rename else None)
    finally:
        part.close()


def part_of(target: Path, name: str) -> Path:
    """Where what has come of a file is kept."""
    return target.with_name(f".{name}.part")


async def fetch_bytes(connection: Connection, url: str, most: int) -> bytes:
    """A small file's content, no more of it than ``most`` bytes. Raises ``CommandFailed``."""
    _check_link(url)
    try:
        async with _request(connection, url, {}) as response:
            if response.status != 200:
                raise Answered(f"The file's link answers with status {response.status}.", code="download_failed")
            content = bytearray()
            async for piece in response.content.iter_chunked(_PIECE_BYTES):
                content += piece
                if len(content) >= most:
                    break
            return bytes(content[:most])
    except NETWORK_TROUBLE as error:
        raise connection.unreachable(error) from None


async def _is_there(connection: Connection, url: str, target: Path) -> bool:
    """Whether the target is this very file already."""
    there = await asyncio.to_thread(_sha256, target)
    if there is None:
        return False
    try:
        async with _request(connection, url, {}, method="HEAD") as response:
            found = _SHA256.fullmatch(response.headers.get("etag", ""))
    except NETWORK_TROUBLE:
        return False
    return found is not None and found[1] == there


def _sha256(path: Path) -> str | None:
    """Of a file that is there and can be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


async def _complete(
    connection: Connection, url: str, part: PartFile, on_bytes: Callable[[int, int | None], None]
) -> str | None:
    """Fetch what is missing; the SHA-256 that the file should have, where the server tells it."""
    places = [url]
    if (other := _on_this_server(connection, url)) != url:
        places.append(other)
    etag, since, known = None, time.monotonic(), part.size
    while True:
        headers = {"Range": f"bytes={part.size}-"} if part.size else {}
        if part.size and etag:
            headers["If-Range"] = etag
        try:
            async with _request(connection, places[0], headers) as response:
                etag = response.headers.get("etag", "")
                if await _take(response, part, on_bytes):
                    found = _SHA256.fullmatch(etag)
                    return found[1] if found else None
                failure: CommandFailed = Answered("The file's link answers: try later.", code="service_unavailable")
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, aiohttp.TooManyRedirects):
            raise CommandFailed(_NO_LINK) from None
        except NETWORK_TROUBLE as error:
            failure = connection.unreachable(error)
            if isinstance(error, aiohttp.ClientConnectorError):
                places.reverse()
        if part.size > known:
            since, known = time.monotonic(), part.size
        if time.monotonic() - since > _PATIENCE_SECONDS:
            raise CommandFailed(f"The file does not come: {failure}", failure.status)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _take(response: aiohttp.ClientResponse, part: PartFile, on_bytes: Callable[[int, int | None], None]) -> bool:
    """Write an answer to the part. False: to be asked again. Raises ``CommandFailed`` where nothing will come."""
    total = response.content_length
    match response.status:
        case 200:
            if part.size:
                part.restart()
        case 206:
            begins = _FROM.fullmatch(response.headers.get("content-range", ""))
            if begins is None or int(begins[1]) != part.size:
                part.restart()
                return False
            total = None if begins[2] == "*" else int(begins[2])
        case 416:
            whole = _ALL.fullmatch(response.headers.get("content-range", ""))
            if whole is not None and int(whole[1]) == part.size:
                return True
            part.restart()
            return False
        case 429 | 500 | 502 | 503 | 504:
            return False
        case 410 | 403 | 404:
            raise CommandFailed("The file is deleted, or its link is past its time.")
        case status:
            raise CommandFailed(f"The file's link answers with status {status}.")
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        part.write(piece)
        on_bytes(part.size, total)
    return True


def _request(
    connection: Connection, url: str, headers: dict[str, str], method: str = "GET"
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    """Without the key: the link is its own permission, and may lead to another's store."""
    return connection.session.request(
        method,
        url,
        headers={"Accept-Encoding": "identity", **headers},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_QUIET_SECONDS),
        proxy=proxy_of(url),
        allow_redirects=True,
    )


def _check_link(url: str) -> None:
    """Refuse what is no address of a file. Raises ``CommandFailed``."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:
        is_right = False
    if not is_right:
        raise CommandFailed(_NO_LINK)


def _on_this_server(connection: Connection, url: str) -> str:
    """The link at the address by which the server was reached: not every one is told how others reach it."""
    parts = urlsplit(url)
    return f"{connection.profile.base_url}{parts.path}{'?' if parts.query else ''}{parts.query}"
