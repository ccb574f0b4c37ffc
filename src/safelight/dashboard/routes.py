"""The dashboard as the frame takes it: every route, who comes in, and the page for an error."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from safelight.api.dialect import Dialect, Route
from safelight.dashboard import live, login, models, overview
from safelight.dashboard.entry import Entry, SignInNeeded
from safelight.dashboard.gallery import deletion
from safelight.dashboard.gallery import pages as gallery
from safelight.dashboard.jobs import job, refused
from safelight.dashboard.jobs import pages as jobs
from safelight.dashboard.keys import pages as keys
from safelight.dashboard.keys import sessions
from safelight.dashboard.operator import audit, connections, credit, health, queue, storage, workspaces
from safelight.dashboard.people import People
from safelight.dashboard.playground import pages as playground
from safelight.dashboard.site import PREFIX, Inspect, Site
from safelight.dashboard.spend import pages as spend
from safelight.dashboard.visit import VISIT, Visit, visit_of
from safelight.dashboard.webhooks import deliveries
from safelight.dashboard.webhooks import pages as webhooks
from safelight.domain.errors import SafelightError
from safelight.node.settings import Settings

PAGES = (
    overview,
    login,
    live,
    playground,
    deletion,
    gallery,
    jobs,
    refused,
    job,
    spend,
    models,
    keys,
    sessions,
    webhooks,
    deliveries,
    workspaces,
    credit,
    connections,
    queue,
    storage,
    health,
    audit,
)
"""Each has its ``ROUTES``."""


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    return visit_of(request).site.assets.answer(request, request.path_params["version"], name)


ROUTES = (
    *(route for page in PAGES for route in page.ROUTES),
    Route("GET", f"{PREFIX}/static/{{version}}/{{name:path}}", _asset, needs_key=False),
)


def open_dialect(settings: Settings, inspect: Inspect) -> Dialect:
    """The dashboard, as the settings have it. Raises ``ConfigurationError``."""
    site = Site(settings, inspect)
    people = None
    if settings.dashboard_trusted_header is not None and settings.dashboard_people is not None:
        people = People(settings.dashboard_trusted_header, settings.dashboard_people)

    def error_response(scope: Scope, error: SafelightError, status: int, headers: Mapping[str, str]) -> Response:
        return _error_page(site, scope, error, status, headers)

    return Dialect(
        name="dashboard",
        prefix=f"{PREFIX}/",
        routes=ROUTES,
        admit=Entry(site, people).admit,
        error_response=error_response,
    )


def _page_at(site: Site, visit: Visit) -> str:
    """The page that somebody looks at, with its query: of a piece, the page around it."""
    request = visit.request
    if visit.is_partial:
        around = request.headers.get("hx-current-url", "").partition("://")[2].partition("/")[2]
        return f"/{around.partition('#')[0]}".removeprefix(site.root)
    if request.method != "GET":
        return PREFIX
    return f"{request.url.path}?{request.url.query}".removesuffix("?")


def _error_page(site: Site, scope: Scope, error: SafelightError, status: int, headers: Mapping[str, str]) -> Response:
    """The page for an error; who is to sign in is led there, and back again."""
    request = Request(scope)
    visit: Visit = scope.get(VISIT) or Visit(site, request, None)
    kept = {name: value for name, value in headers.items() if name in ("retry-after", "allow", "connection")}
    if isinstance(error, SignInNeeded):
        login_page = site.at(f"{PREFIX}/login?next={quote(_page_at(site, visit), safe='')}")
        if visit.is_partial:
            return Response(status_code=401, headers={"hx-redirect": login_page})
        if "text/event-stream" in request.headers.get("accept", ""):
            return Response(status_code=401)
        return Response(status_code=303, headers={"location": login_page, "cache-control": "no-store"})
    template = "problem.html" if visit.is_partial else "error.html"
    response = visit.piece(template, status=status, error=error, code=status)
    response.headers.update(kept)
    if visit.is_partial:  # what was there before stays
        response.headers.update({"hx-retarget": "#trouble", "hx-reswap": "innerHTML"})
    return response
