"""A server that answers as it is told to, on a free port of this machine, with what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from safelight.cli.client.connection import Connection
from safelight.cli.client.profiles import Profile

KEY = "sk_" + "k" * 49
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def connected(handler: Handler, *, patience_seconds: float = 5.0) -> AsyncIterator[Connection]:
    """A connection to a server that answers everything with ``handler``."""
    app = web.Application(client_max_size=64 << 20)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        profile = Profile(name="default", base_url=f"http://127.0.0.1:{port}", key=KEY)
        async with Connection(profile, patience_seconds=patience_seconds) as connection:
            yield connection
    finally:
        await runner.cleanup()


def error(status: int, code: str, **headers: str) -> web.Response:
    """An error as the API words it."""
    detail = {"message": "As it is told to.", "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response(
        {"error": detail}, status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )
