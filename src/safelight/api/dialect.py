"""A dialect is a wire contract of its own: its routes, and the shape of its errors. The frame is handed them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from safelight.domain.errors import Kind, SafelightError
from safelight.domain.roles import Role

WAY_IN = "safelight.way_in"
"""In a request's scope: the way in, where it is not by the request's own path, as it is made for another."""

DIALECTS = "dialects"
"""In the state that the server hands to every request: the dialects, as ``in_order`` puts them."""

Handler = Callable[[Request], Awaitable[Response]]
Admit = Callable[[Request, "Route"], Awaitable[None]]
ErrorResponse = Callable[[Scope, SafelightError, int, Mapping[str, str]], Response]


class Route(msgspec.Struct, frozen=True):
    """One method at one path, such as ``/v2/models/{model}``.

    ``needs_key``: only for who is known, by a valid API key or otherwise. ``role``: what they must be allowed to.
    """

    method: str
    path: str
    handler: Handler
    needs_key: bool = True
    role: Role = Role.READ


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """Routes, and what goes out for an error at any path below ``prefix``, also where no route is.

    ``name`` is how requests are on record that come in by it. The prefix begins and ends with a slash; that of one
    dialect is empty, and what no other claims is its own. ``statuses``: HTTP statuses other than those of
    ``errors.STATUS_OF_KIND``. ``opened`` is entered when the server starts, and left when it stops. ``admit`` goes
    before each request, and raises where it may not go on: by default it looks at the API key. ``error_response`` makes
    the answer for an error, of its status and headers: by default that is ``error_body`` as JSON.
    """

    name: str
    prefix: str
    routes: tuple[Route, ...]
    error_body: Callable[[SafelightError], object] = str
    statuses: Mapping[Kind, int] = {}
    opened: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    admit: Admit | None = None
    error_response: ErrorResponse | None = None


def in_order(dialects: Iterable[Dialect]) -> Sequence[Dialect]:
    """Those with the longest prefixes first, as the first that fits a path is the one.

    Raises ``ValueError`` where errors of a route would have another dialect's shape, or none.
    """
    ordered = sorted(dialects, key=lambda dialect: -len(dialect.prefix))
    if not ordered or ordered[-1].prefix:
        raise ValueError("No dialect has the paths that are nobody's. Give one an empty prefix.")
    for dialect in ordered:
        strays = [route.path for route in dialect.routes if not f"{route.path}/".startswith(dialect.prefix)]
        if strays:
            raise ValueError(f"{strays[0]} is not below {dialect.prefix}. Move it there, or change the prefix.")
    return ordered


def way_in(scope: Scope) -> str:
    """The name of the dialect that a request came in by, or the one that it is made for."""
    name: str = scope.get(WAY_IN) or dialect_at(scope).name
    return name


def dialect_at(scope: Scope) -> Dialect:
    """The dialect of a request's path."""
    path: str = f"{scope['path']}/"
    found: Dialect = next(dialect for dialect in scope["state"][DIALECTS] if path.startswith(dialect.prefix))
    return found


def has_dialect(scope: Scope, name: str) -> bool:
    """Whether a dialect of this name is spoken here."""
    return any(each.name == name for each in scope["state"][DIALECTS])
