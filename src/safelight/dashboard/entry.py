"""Who may come in: by a session's cookie, or by the word of a proxy in front; and no request that another site makes.

API keys count only where one signs in: no page reads ``Authorization``, and no route of the API reads a cookie.
"""

from __future__ import annotations

from starlette.requests import Request

from safelight.accounts.sessions import principal_in
from safelight.api.auth import act_as, api_state
from safelight.api.dialect import Route
from safelight.dashboard.people import People
from safelight.dashboard.site import Site
from safelight.dashboard.visit import VISIT, Viewer, Visit
from safelight.domain.errors import Forbidden, InvalidApiKey, NotFound
from safelight.domain.scope import OPERATOR, Principal

WORKSPACE = "safelight-workspace"
_SAFE = ("GET", "HEAD", "OPTIONS")


class SignInNeeded(InvalidApiKey):
    """Sign in to see this page."""


class Entry:
    """Admits requests. ``people``: whom a proxy in front may name; None where none may."""

    def __init__(self, site: Site, people: People | None) -> None:
        self._site = site
        self._people = people

    async def admit(self, request: Request, route: Route) -> None:
        """Let a request go on to its handler, with its ``Visit``. Raises ``Forbidden`` and ``SignInNeeded``."""
        if request.method not in _SAFE:
            refuse_other_sites(request, self._site.origin)
        viewer = await self._viewer(request)
        request.scope[VISIT] = Visit(self._site, request, viewer)
        if viewer is None and self._people is not None and "/static/" not in route.path:
            raise Forbidden("The proxy in front has named nobody who may come in. Sign in there.")
        if not route.needs_key:
            return
        if viewer is None:
            raise SignInNeeded
        if not viewer.role.includes(route.role):
            raise Forbidden(f"This needs the role {str(route.role)!r}, and yours is {str(viewer.role)!r}.")
        if viewer.principal is not None:
            act_as(request, viewer.principal)

    async def _viewer(self, request: Request) -> Viewer | None:
        if self._people is not None:
            return await self._named_viewer(request, self._people)
        secret = request.cookies.get(cookie_name(self._site))
        if not secret:
            return None
        session = await self._site.sessions.find(api_state(request).keeping.db, secret)
        if session is None:
            return None
        principal = session.principal or await _chosen(request)
        if session.principal is not None:
            _refuse_other_workspaces(request, session.principal)
        return Viewer(session.person, session.role, principal, secret)

    async def _named_viewer(self, request: Request, people: People) -> Viewer | None:
        person = people.find(request.headers)
        if person is None:
            return None
        if person.workspace is None:
            return Viewer(person.name, person.role, await _chosen(request))
        principal = await principal_in(OPERATOR, api_state(request).keeping.db, person.workspace)
        if principal is None:
            raise Forbidden(f"{person.name} is to see the workspace {person.workspace!r}, and there is none.")
        _refuse_other_workspaces(request, principal)
        return Viewer(person.name, person.role, person.act_as(principal))


async def _chosen(request: Request) -> Principal | None:
    """As whom an operator acts: in the workspace that the address names, or else the one chosen last, or the oldest."""
    db = api_state(request).keeping.db
    if named := request.query_params.get("workspace"):
        found = await principal_in(OPERATOR, db, named)
        if found is None:
            raise NotFound("There is no such workspace.")
        return found
    chosen = request.cookies.get(WORKSPACE)
    return (await principal_in(OPERATOR, db, chosen) if chosen else None) or await principal_in(OPERATOR, db, None)


def _refuse_other_workspaces(request: Request, principal: Principal) -> None:
    named = request.query_params.get("workspace")
    if named and named != principal.workspace:
        raise NotFound("This address is of another workspace than you are in. Go to the overview, or sign in to it.")


def refuse_other_sites(request: Request, public_origin: str) -> None:
    """Refuse what another site has a browser send, whatever cookie is with it. Raises ``Forbidden``.

    Browsers say where a request comes from (Fetch Metadata; before it, ``Origin``), and no page can change that.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        origin = request.headers.get("origin")
        asked = request.headers.get("host")
        is_ours = origin is not None and (origin == public_origin or origin.partition("://")[2] == asked)
    if not is_ours:
        raise Forbidden("This request comes from another site. Use the page of the dashboard itself.")


def cookie_name(site: Site) -> str:
    """With the prefix that keeps other hosts and plain HTTP from setting it (RFC 6265bis), where that is possible."""
    return "__Host-safelight" if site.is_secure else "safelight-session"
