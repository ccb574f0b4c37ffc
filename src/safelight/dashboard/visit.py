"""One request to the dashboard: who sent it, the workspace they look at, and the pages they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action, Actor, record
from safelight.api.auth import ApiState, api_state
from safelight.dashboard.flash import MESSAGES
from safelight.dashboard.menu import Item, menu_for
from safelight.dashboard.site import PREFIX, Site
from safelight.domain.errors import Forbidden, NotFound
from safelight.domain.roles import Role
from safelight.domain.scope import OPERATOR, OperatorScope, Principal, Scope

VISIT = "safelight.dashboard.visit"
"""In a request's scope: its ``Visit``."""

THEME = "safelight-theme"
THEMES = ("auto", "light", "dark")


class Viewer:
    """Who looks. ``principal``: as whom they act in the workspace that they look at; None where there is none yet."""

    def __init__(self, person: str, role: Role, principal: Principal | None, secret: str | None = None) -> None:
        self.person = person
        self.role = role
        self.principal = principal
        self.secret = secret

    @property
    def is_operator(self) -> bool:
        return self.role is Role.OPERATOR

    def may(self, role: str) -> bool:
        """Whether they may do what needs this role; also for templates."""
        return self.role.includes(Role(role))


class Visit:
    """What a page's handler works with."""

    def __init__(self, site: Site, request: Request, viewer: Viewer | None) -> None:
        self.site = site
        self.request = request
        self._viewer = viewer

    @property
    def state(self) -> ApiState:
        return api_state(self.request)

    @property
    def viewer(self) -> Viewer:
        """Who looks, on a route that lets in only who is known."""
        assert self._viewer is not None
        return self._viewer

    @property
    def is_known(self) -> bool:
        return self._viewer is not None

    @property
    def principal(self) -> Principal:
        """As whom they act, in the workspace they look at. Raises ``NotFound`` where there is no workspace yet."""
        if self.viewer.principal is None:
            raise NotFound("There is no workspace yet. Make one on the page of workspaces.")
        return self.viewer.principal

    @property
    def scope(self) -> Scope:
        """The workspace they look at. What belongs to another is not there."""
        return self.principal.scope

    @property
    def operator(self) -> OperatorScope:
        """Everything. Raises ``Forbidden`` for anybody but an operator."""
        if not self.viewer.is_operator:
            raise Forbidden("Only an operator may do this.")
        return OPERATOR

    async def is_still_in(self) -> bool:
        """Whether the session that the request came with is still there; for answers that take long."""
        secret = self.viewer.secret
        return secret is None or await self.site.sessions.find(self.state.keeping.db, secret) is not None

    @property
    def address(self) -> str:
        """Where the request came from, for the audit log."""
        return self.request.client.host if self.request.client else ""

    async def audit(
        self,
        action: Action,
        target: str | int,
        detail: Mapping[str, Any] | None = None,
        *,
        scope: Scope | None = None,
    ) -> None:
        """Put on record what they did, once it is done. ``scope``: where, by default in the workspace they look at."""
        by = Actor(person=self.viewer.person, role=self.viewer.role, address=self.address)
        await record(scope or self.scope, self.state.keeping.db, by, action, target, detail)

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks for a piece of the page."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def own(self) -> dict[str, str]:
        """What addresses carry, so that a form changes the workspace that its page showed, whatever they chose, or
        signed in to, in another tab since."""
        return {"workspace": self.principal.workspace}

    @property
    def menu(self) -> list[tuple[str, list[Item]]]:
        """The menu: its items by their headings."""
        return menu_for(self.viewer.role)

    def page(self, template: str, *, block: str | None = None, status: int = 200, **context: object) -> Response:
        """A page made from a template; of one that htmx asks for only ``block``, if one is named."""
        known = {**self._context(), **context}
        if block is not None and self.is_partial:
            return self.site.html(self.site.render_block(template, block, known), status)
        return self.site.html(self.site.render(template, known), status)

    def piece(self, template: str, *, status: int = 200, **context: object) -> Response:
        """A piece of a page, whoever asks for it."""
        return self.site.html(self.site.render(template, {**self._context(), **context}), status)

    def redirect(self, path: str, query: Mapping[str, str] | None = None, *, said: str | None = None) -> Response:
        """Go on to a page below ``/dashboard`` with GET. ``said``: what it is to say, by its name in ``flash.py``."""
        given = {**(query or {}), **({"said": said} if said else {})}
        location = self.site.at(f"{PREFIX}{path}") + (f"?{urlencode(given)}" if given else "")
        return Response(status_code=303, headers={"location": location, "cache-control": "no-store"})

    def link(self, path: str) -> str:
        """The address of a page below ``/dashboard``."""
        return self.site.at(f"{PREFIX}{quote(path)}")

    def _context(self) -> dict[str, object]:
        request = self.request
        theme = request.cookies.get(THEME, "auto")
        query = f"?{request.url.query}" if request.url.query else ""
        return {
            "visit": self,
            "viewer": self._viewer,
            "path": request.url.path,
            "here": f"{request.url.path}{query}",
            "theme": theme if theme in THEMES else "auto",
            "said": MESSAGES.get(request.query_params.get("said", "")),
        }


def visit_of(request: Request) -> Visit:
    visit: Visit = request.scope[VISIT]
    return visit
