"""The downloads of ``chaos``: a server of files that fails in the ways that servers of files do."""

from __future__ import annotations

import asyncio
import re
import zlib

from safelight.domain.outcomes import RemoteFile

HTML = b"<!doctype html><title>502 Bad Gateway</title><h1>Bad Gateway</h1>"


class DownloadServer:
    """Serves files badly, over HTTP on a loopback address, from the first time it is needed."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._port = 0
        self._files: dict[str, tuple[str, int, bytes]] = {}
        self._failures: dict[str, int] = {}

    async def file(self, generation_id: str, flaw: str, times: int, file: bytes) -> RemoteFile:
        """Where a file lies now: addresses are numbered. ``flaw`` is a behaviour of chaos, shown ``times`` times."""
        if self._server is None:
            self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
            self._port = self._server.sockets[0].getsockname()[1]
        self._files[generation_id] = flaw, times, file
        place = f"127.0.0.1:{self._port}"
        number = self._failures.get(generation_id, 0)
        return RemoteFile(f"http://{place}/{generation_id}/{number}", allow=(place,))

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            _, generation_id, number = head.split(" ", 2)[1].split("/")
            begin = re.search(r"^range: bytes=(\d+)-\r$", head, re.IGNORECASE | re.MULTILINE)
            await self._send(generation_id, int(number), int(begin[1]) if begin else 0, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has had enough
        finally:
            writer.close()

    async def _send(self, generation_id: str, number: int, begin: int, writer: asyncio.StreamWriter) -> None:
        flaw, times, file = self._files[generation_id]
        failures = self._failures.get(generation_id, 0)
        fails = times < 0 or failures < times
        match flaw:
            case "redirect_private":
                writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/secret\r\nContent-Length: 0\r\n\r\n")
            case "html_download":
                writer.write(_file_answer(HTML, 0))
            case "endless":
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                while True:
                    writer.write(bytes(256 * 1024))
                    await writer.drain()
            case "unavailable_download" if fails:
                writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            case "expired_download" if fails or number < failures:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            case "truncated_download" if fails:
                answer = _file_answer(file, begin)
                writer.write(answer[: len(answer) - (len(file) - begin) // 2])
            case _:
                fails = False
                writer.write(_file_answer(file, begin))
        self._failures[generation_id] = failures + int(fails)
        await writer.drain()


def _file_answer(file: bytes, begin: int) -> bytes:
    """The file from a byte on, as an answer to a request for a range of it."""
    tag = f'"{zlib.crc32(file):x}"'
    status, more = "200 OK", ""
    if begin:
        status, more = "206 Partial Content", f"Content-Range: bytes {begin}-{len(file) - 1}/{len(file)}\r\n"
    head = f"HTTP/1.1 {status}\r\nETag: {tag}\r\n{more}Content-Length: {len(file) - begin}\r\n\r\n"
    return head.encode() + file[begin:]
