"""A network between a client and a server that breaks: it takes the answer to a request and loses it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Cutter:
    """Passes connections on to a server. Of the first ``cuts`` that have an answer coming, no byte of it gets through:
    both ends are cut once the server sends its first, or all of it where ``waits_for_all``.

    ``attempts``: connections on which a request began.
    """

    def __init__(self, port: int, *, cuts: int = 1, waits_for_all: bool = False) -> None:
        self.port = port
        self.cuts = cuts
        self.waits_for_all = waits_for_all
        self.cut = 0
        self.own_port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.own_port}"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Cutter]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.own_port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_us = await asyncio.open_connection("127.0.0.1", self.port)
        asking = asyncio.create_task(_pump(reader, from_us))
        try:
            first = await to_server.read(65536)
            if first and self.cut < self.cuts:
                self.cut += 1
                if self.waits_for_all:
                    await _quiet(to_server)
            elif first:
                writer.write(first)
                await _pump(to_server, writer)
        except OSError:
            pass
        finally:
            asking.cancel()
            for end in (writer, from_us):
                end.transport.abort()


async def _quiet(reader: asyncio.StreamReader) -> None:
    """Take what comes until nothing has for a moment."""
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.2):
                if not await reader.read(65536):
                    return


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
