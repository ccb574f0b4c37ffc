"""From a path and a method to a handler, and from what it raises to an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Router
from starlette.routing import Route as PathRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from safelight.api.access import note_route
from safelight.api.answer import head_of
from safelight.api.auth import require_key, require_role
from safelight.api.dialect import Route, dialect_at
from safelight.api.errors import error_response
from safelight.domain.errors import MethodNotAllowed, NotFound
from safelight.domain.text import cut

_CLIENT_LEFT = 499  # nobody gets it; the access log tells it


def make_router(routes: Iterable[Route], lifespan: Lifespan[None]) -> PathRouter:
    """The router. A fixed word in a path goes before a parameter. Paths come to it in their one spelling."""
    by_path: dict[str, list[Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, []).append(route)
    fixed_first = sorted(by_path, key=lambda path: [part.startswith("{") for part in path.split("/")])

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        error = NotFound(f"There is nothing at {cut(scope['path'])}. /docs lists what there is.")
        await error_response(scope, error)(scope, receive, send)

    paths = [PathRoute(path, Endpoint(by_path[path])) for path in fixed_first]
    return PathRouter(paths, not_found, lifespan)


class PathRouter(Router):
    """Starlette's, which asks none of its routes but those whose path begins as the request's does."""

    def __init__(self, paths: Sequence[PathRoute], not_found: ASGIApp, lifespan: Lifespan[None]) -> None:
        super().__init__(paths, redirect_slashes=False, default=not_found, lifespan=lifespan)
        self._fixed: dict[str, list[PathRoute]] = {}
        self._by_start: dict[str, list[PathRoute]] = {}
        for path in paths:
            start, brace, _ = path.path.partition("{")
            (self._by_start if brace else self._fixed).setdefault(start, []).append(path)
        # The longest first: so fixed words go before parameters, as they do among those that begin alike.
        self._lengths = sorted({len(start) for start in self._by_start}, reverse=True)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().app(scope, receive, send)
            return
        found = self.found(scope)
        if found is None:
            await self.default(scope, receive, send)
        else:
            route, matched = found
            scope.update(matched)
            await route.handle(scope, receive, send)

    def found(self, scope: Scope) -> tuple[PathRoute, Scope] | None:
        """The route of a request, and what its path says; None where there is none."""
        for route in self._candidates(scope["path"]):
            match, matched = route.matches(scope)
            if match is Match.FULL:
                return route, matched
        return None

    def _candidates(self, path: str) -> Iterator[PathRoute]:
        yield from self._fixed.get(path, ())
        for length in self._lengths:
            yield from self._by_start.get(path[:length], ())


class Endpoint:
    """What one path takes, by method, as an ASGI application. Whatever a handler raises is answered.

    HEAD goes where GET goes, and its handler sees which of the two it is: one that waits, or notes that somebody has
    seen what it tells, does so for GET alone.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = {route.method: route for route in routes}
        self._template = next(iter(self._routes.values())).path
        if "GET" in self._routes:
            self._routes["HEAD"] = self._routes["GET"]
        self._allowed = ", ".join(sorted([*self._routes, "OPTIONS"]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        note_route(scope, self._template)
        try:
            response = await self._answer(Request(scope, receive, send))
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_LEFT)
        except Exception as error:
            response = error_response(scope, error)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        route = self._routes.get(request.method)
        if route is not None:
            admit = dialect_at(request.scope).admit or _admit_by_key
            await admit(request, route)
            response = await route.handler(request)
            return head_of(response) if request.method == "HEAD" else response
        allow = {"allow": self._allowed}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        error = MethodNotAllowed(f"{request.method} is not supported here. Use: {self._allowed}.")
        return error_response(request.scope, error, allow)


async def _admit_by_key(request: Request, route: Route) -> None:
    if route.needs_key:
        await require_key(request)
        require_role(request, route.role)
