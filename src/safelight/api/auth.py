"""What the routes need, kept by the server for every request; and whose request it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import msgspec
from starlette.requests import Request
from starlette.types import Scope

from safelight.accounts.keys import Authenticator
from safelight.api.waits import BodyMemory, Waits
from safelight.domain.errors import Forbidden, InvalidParameter
from safelight.domain.events import EventType
from safelight.domain.numbers import number_within
from safelight.domain.roles import Role
from safelight.domain.scope import Principal
from safelight.domain.text import quoted
from safelight.keeping.services import KeepingServices
from safelight.lifecycle.events import ToJson
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.services import RunServices, SubmitServices, ViewServices
from safelight.telemetry import traces
from safelight.telemetry.names import WORKSPACE_ID

STATE = "api"
"""In the state that the server hands to every request: the process's ``ApiState``."""

SUSPECT = "safelight.suspect"
"""In a request's scope: many wrong keys came from its address."""

_PRINCIPAL = "safelight.principal"


class ApiState(msgspec.Struct, frozen=True, kw_only=True):
    """One API process. ``public_url``: the address that clients reach it at. ``accel_prefix``: nginx in front sends
    local files from there. ``redirects``: an object store sends its own. ``has_exact_sizes``: a size in
    pixels has to be one that the catalog lists. ``event_json``: a generation as events tell it. ``event_examples``: the
    data of test events."""

    submitting: SubmitServices
    running: RunServices
    viewing: ViewServices
    keeping: KeepingServices
    runner: Runner
    authenticator: Authenticator
    waits: Waits = msgspec.field(default_factory=Waits)
    body_memory: BodyMemory = msgspec.field(default_factory=BodyMemory)
    public_url: str = "/"
    accel_prefix: str | None = None
    redirects: bool = False
    has_exact_sizes: bool = False
    event_json: ToJson = msgspec.json.encode
    event_examples: Mapping[EventType, dict[str, Any]] = {}


def api_state(request: Request) -> ApiState:
    return state_of(request.scope)


def state_of(scope: Scope) -> ApiState:
    """As ``api_state``, outside the routes."""
    state: ApiState = scope["state"][STATE]
    return state


async def require_key(request: Request) -> None:
    """Goes before a request: it must carry a valid API key. Raises ``InvalidApiKey``."""
    scope = request.scope
    sent = [value for name, value in scope["headers"] if name == b"authorization"]
    header = sent[0].decode("latin-1") if len(sent) == 1 else None
    authenticator = api_state(request).authenticator
    sender = await authenticator.authenticate(header, is_suspect=scope.get(SUSPECT, False))
    scope[_PRINCIPAL] = sender
    traces.current().set(WORKSPACE_ID, sender.workspace_id)


def act_as(request: Request, sender: Principal) -> None:
    """Whose request it is, where that was found out without an API key."""
    request.scope[_PRINCIPAL] = sender


def require_role(request: Request, needed: Role) -> None:
    """Goes after ``require_key``: the key must be one that may do what needs this role. Raises ``Forbidden``."""
    role = principal(request).role
    if not role.includes(needed):
        raise Forbidden(
            f"This API key has the role '{role}', and this needs '{needed}'. Use another key: "
            f"'safelight keys create --role {needed}' makes one."
        )


def principal(request: Request) -> Principal:
    """Who sent a request that ``require_key`` let through, or as whom it acts."""
    sender: Principal = request.scope[_PRINCIPAL]
    return sender


@overload
def query_value(request: Request, name: str) -> str | None: ...


@overload
def query_value(request: Request, name: str, default: str) -> str: ...


def query_value(request: Request, name: str, default: str | None = None) -> str | None:
    """A parameter of the query. Raises ``InvalidParameter`` where it is given twice: readers differ on which counts."""
    if not request.scope["query_string"]:
        return default
    given = request.query_params.getlist(name)
    if len(given) > 1:
        raise InvalidParameter(f"{name} is given twice. Send it once.", param=name)
    return given[0] if given else default


def query_number(request: Request, name: str, default: int, *, least: int, most: int, unit: str = "") -> int:
    """As ``query_value``, a whole number within its bounds. Raises ``InvalidParameter``."""
    text = query_value(request, name, str(default))
    number = number_within(text, least, most)
    if number is None:
        raise InvalidParameter(f"{name} {quoted(text)} is not supported. Use {least} to {most}{unit}.", param=name)
    return number
