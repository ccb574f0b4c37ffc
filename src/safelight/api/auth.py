"""What the routes need, kept on the application."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from litestar.connection import ASGIConnection

from safelight.accounts.keys import Authenticator
from safelight.db.pool import Database
from safelight.domain.scope import Principal
from safelight.keeping.services import KeepingServices
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.services import RunServices, SubmitServices, ViewServices


class ApiState(msgspec.Struct, frozen=True, kw_only=True):
    """One API process. ``accel_prefix``: nginx in front sends local files from there. ``redirects``: an object store
    sends its own."""

    submitting: SubmitServices
    running: RunServices
    viewing: ViewServices
    keeping: KeepingServices
    runner: Runner
    authenticator: Authenticator
    accel_prefix: str | None = None
    redirects: bool = False

    @property
    def db(self) -> Database:
        return self.viewing.db


SUSPECT = "safelight.suspect"
"""In a request's scope: many wrong keys came from its address."""

Connection = ASGIConnection[Any, Any, Any, Any]


def api_state(connection: Connection) -> ApiState:
    return cast(ApiState, connection.app.state.api)


async def require_key(connection: Connection) -> None:
    """Goes before a request: it must carry a valid API key. Raises ``InvalidApiKey``."""
    header = connection.headers.getall("authorization", [])
    sender = header[0] if len(header) == 1 else None
    scope = cast(dict[str, Any], connection.scope)
    authenticator = api_state(connection).authenticator
    scope["principal"] = await authenticator.authenticate(sender, is_suspect=scope.get(SUSPECT, False))


def principal(connection: Connection) -> Principal:
    """Who sent a request that ``require_key`` let through."""
    return cast(Principal, cast(dict[str, Any], connection.scope)["principal"])
