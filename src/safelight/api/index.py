"""``/``: a browser is led to the pages, and a program is told what there is; and the icon that browsers ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

from safelight import __version__
from safelight.api.answer import json_response
from safelight.api.auth import api_state
from safelight.api.dialect import DIALECTS, Dialect, Route

_ICON = resources.files("safelight.api").joinpath("icon.svg").read_bytes()
_BASES: Mapping[str, str] = {"v2": "/v2", "openai": "/v1", "mcp": "/mcp", "dashboard": "/dashboard"}


async def show(request: Request) -> Response:
    """Where to go on: to the dashboard, if there is one, or else the reference; programs get the addresses as JSON."""
    dialects: Sequence[Dialect] = request.scope["state"][DIALECTS]
    names = sorted(each.name for each in dialects)
    headers = {"vary": "accept"}
    if "text/html" in request.headers.get("accept", ""):
        # Relative: whoever put this service below a path of theirs stays there.
        page = "dashboard" if "dashboard" in names else "docs"
        return Response(status_code=307, headers={**headers, "location": page})
    base_url = api_state(request).public_url.rstrip("/")
    body = {
        "name": "Safelight",
        "version": __version__,
        "reference": f"{base_url}/docs",
        "openapi": f"{base_url}/openapi.json",
        **{name: f"{base_url}{_BASES[name]}" for name in names if name in _BASES},
    }
    return json_response(body, headers=headers)


async def icon(request: Request) -> Response:
    """The icon, at the address that browsers try by themselves."""
    return Response(_ICON, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})


ROUTES = (
    Route("GET", "/", show, needs_key=False),
    Route("GET", "/favicon.ico", icon, needs_key=False),
)
