"""``safelight mcp``: the MCP tools on standard streams, for hosts on this machine; they call a profile's server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec
from mcp.server.stdio import stdio_server

from safelight.cli.client.connection import NETWORK_TROUBLE, Answer, Connection, proxy_of
from safelight.cli.client.download import download
from safelight.cli.client.exits import Answered, CommandFailed, Misuse
from safelight.cli.client.output import note, run
from safelight.cli.client.profiles import find_profile
from safelight.domain.ids import is_generation_id
from safelight.domain.media import EXTENSION_OF_MIME
from safelight.mcp.api import Json, Refused
from safelight.mcp.keys import Origin
from safelight.mcp.results import Keep, keep_nothing
from safelight.mcp.server import Caller, make_server

_PATIENCE_SECONDS = 20.0  # shorter than a host's
_DOWNLOADS = "/v2/downloads/"
_FETCH_SECONDS = 15.0
_QUIET_SECONDS = 10.0
_PIECE_BYTES = 256 << 10


def serve(profile: str | None, out_dir: Path | None) -> int:
    """Serve until standard input ends; the exit status."""

    async def work() -> None:
        found = find_profile(profile)
        folder = None if out_dir is None else _made(out_dir)
        async with Connection(found, patience_seconds=_PATIENCE_SECONDS) as connection:
            caller = Caller(api=HttpApi(connection), origin=Origin(who="stdio", session=secrets.token_hex(16)))
            keep = keep_nothing if folder is None else keeper(connection, folder)
            server = make_server(lambda _: caller, keep=keep)
            note(f"MCP on standard streams, for {found.base_url}.")
            # A file of lines is all that the SDK takes of it.
            async with stdio_server(cast(Any, read_lines(0))) as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())

    return run(work)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder.absolute()
    except OSError as error:
        raise Misuse(f"{folder} cannot be made: {error.strerror}.") from None


async def read_lines(descriptor: int) -> AsyncIterator[str]:
    """The lines that come, until there are no more. Unlike the SDK's own reading, nobody need wait for a last one."""
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        piece = b"-"
        while piece:
            try:
                piece = os.read(descriptor, _PIECE_BYTES)
            except OSError:
                piece = b""
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

    threading.Thread(target=read, name="input", daemon=True).start()
    rest: list[bytes] = []
    while piece := await pieces.get():
        *lines, last = piece.split(b"\n")
        for line in lines:
            yield b"".join([*rest, line]).decode("utf-8", "replace")
            rest = []
        rest.append(last)


class HttpApi:
    """``safelight.mcp.api.Api`` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        return _value_of(await _told(self._connection.get(path, **query)))

    async def post(self, path: str, body: Json, key: str | None) -> Json:
        found: Json = _value_of(await _told(self._connection.post(path, msgspec.json.encode(body), key=key)))
        return found

    async def delete(self, path: str) -> Json:
        found: Json = _value_of(await _told(self._connection.delete(path)))
        return found

    async def events(self, path: str) -> AsyncIterator[tuple[str, Json]]:
        try:
            async with contextlib.aclosing(self._connection.events(path)) as events:
                async for event in events:
                    yield event.name, msgspec.json.decode(event.data)
        except CommandFailed as error:
            raise _refused(error) from None

    async def download(self, url: str, most_bytes: int) -> bytes | None:
        content = bytearray()
        async with fetched(self._connection, "GET", url) as response:
            async for piece in response.content.iter_chunked(_PIECE_BYTES):
                content += piece
                if len(content) > most_bytes:
                    return None
        return bytes(content)

    async def size_of(self, url: str) -> int | None:
        async with fetched(self._connection, "HEAD", url) as response:
            return response.content_length


def keeper(connection: Connection, folder: Path) -> Keep:
    """Keeps the files of generations in a folder."""

    async def keep(generation: Json) -> list[str]:
        paths = []
        for place, file in enumerate(generation["data"]):
            number = f"_{place + 1}" if place else ""
            extension = EXTENSION_OF_MIME.get(file["mime_type"])
            if not is_generation_id(generation["id"]) or extension is None:  # it would be a name anywhere
                raise Refused("The server's answer is not one of Safelight's.", code="download_failed")
            path = folder / f"{generation['id']}{number}.{extension}"
            try:
                async with asyncio.timeout(_FETCH_SECONDS):
                    paths.append(str(await download(connection, file["url"], path, name=path.name, force=True)))
            except CommandFailed as error:
                raise Refused(error.message, code="download_failed") from None
            except TimeoutError:
                said = f"{path} is not all there yet. get_generation goes on with it."
                raise Refused(said, code="download_failed") from None
        return paths

    return keep


@contextlib.asynccontextmanager
async def fetched(connection: Connection, method: str, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer of a signed link, asked without the key. Raises ``Refused``.

    It is asked of the profile's server, which can be reached: not every one is told how others reach it.
    """
    parts = urlsplit(url)
    url = connection.url(f"{_DOWNLOADS}{parts.path.partition(_DOWNLOADS)[2]}?{parts.query}")
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_QUIET_SECONDS, sock_read=_QUIET_SECONDS)
    try:
        async with connection.session.request(
            method, url, headers={"Accept-Encoding": "identity"}, timeout=timeout, proxy=proxy_of(url)
        ) as response:
            if response.status != 200:
                raise Refused(f"The file's link answers with status {response.status}.", code="download_failed")
            yield response
    except NETWORK_TROUBLE as error:
        raise _refused(connection.unreachable(error)) from None


async def _told(asked: Any) -> Answer:
    try:
        answer: Answer = await asked
    except CommandFailed as error:
        raise _refused(error) from None
    return answer


def _refused(error: CommandFailed) -> Refused:
    if isinstance(error, Answered):
        is_unknown = error.http_status >= 500
        return Refused(error.message, code=error.answer_code, param=error.param, is_unknown=is_unknown)
    return Refused(error.message, code="service_unavailable", is_unknown=True)


def _value_of(answer: Answer) -> Any:
    return msgspec.json.decode(answer.body)
