"""From a path and a method to a handler, and from what it raises to an answer."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as PathRoute
from starlette.routing import Router
from starlette.types import Lifespan, Receive, Scope, Send

from safelight.api.auth import require_key
from safelight.api.dialect import Route
from safelight.api.errors import error_response
from safelight.domain.errors import MethodNotAllowed, NotFound
from safelight.domain.text import cut


def make_router(routes: Iterable[Route], lifespan: Lifespan[None]) -> Router:
    """The router. A fixed word in a path goes before a parameter; a doubled or trailing slash makes no difference."""
    by_path: dict[str, list[Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, []).append(route)
    fixed_first = sorted(by_path, key=lambda path: [part.startswith("{") for part in path.split("/")])

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        tidy = "/" + "/".join(part for part in path.split("/") if part)
        if path.startswith("/") and path != tidy:
            await router({**scope, "path": tidy}, receive, send)
            return
        error = NotFound(f"There is nothing at {cut(path)}. /docs lists what there is.")
        await error_response(scope, error)(scope, receive, send)

    paths = [PathRoute(path, Endpoint(by_path[path])) for path in fixed_first]
    router = Router(paths, redirect_slashes=False, default=not_found, lifespan=lifespan)
    return router


class Endpoint:
    """What one path takes, by method, as an ASGI application. Whatever a handler raises is answered."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = {route.method: route for route in routes}
        self._allowed = ", ".join(sorted([*self._routes, "OPTIONS"]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Request(scope, receive, send))
        except Exception as error:
            response = error_response(scope, error)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        route = self._routes.get(request.method)
        if route is not None:
            if route.needs_key:
                await require_key(request)
            return await route.handler(request)
        allow = {"allow": self._allowed}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        error = MethodNotAllowed(f"{request.method} is not supported here. Use: {self._allowed}.")
        return error_response(request.scope, error, allow)
