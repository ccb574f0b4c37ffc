"""Signing in, with a key or by a link that works once; signing out; the workspace and the theme that one looks at."""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action, Actor, record
from safelight.accounts.sessions import LONGEST_SECONDS, principal_in
from safelight.api.auth import SUSPECT
from safelight.api.dialect import Route
from safelight.dashboard.entry import WORKSPACE, cookie_name
from safelight.dashboard.reading import read_fields
from safelight.dashboard.site import PREFIX, Site
from safelight.dashboard.visit import THEME, THEMES, Visit, visit_of
from safelight.domain.errors import InvalidApiKey, InvalidParameter, NotFound, RateLimited
from safelight.domain.ids import KEY_PREFIX
from safelight.domain.scope import OPERATOR, WorkspaceScope

_YEAR_SECONDS = 365 * 86400


async def show(request: Request) -> Response:
    """The page on which one signs in, also as somebody else: the code of a link comes behind ``#``, where only the
    page sees it. Whom a proxy names is led on."""
    visit = visit_of(request)
    if visit.is_known and visit.viewer.secret is None:
        return visit.redirect("")
    return visit.page("login.html", next=request.query_params.get("next", ""), problem=None)


async def sign_in(request: Request) -> Response:
    """Open a session by what was pasted, or what the link brought: an API key, or a code that works once."""
    visit = visit_of(request)
    fields = await read_fields(request)
    secret, next_ = fields.text("secret").strip(), fields.text("next")
    try:
        session = await _open(request, secret)
    except (InvalidApiKey, RateLimited) as error:
        status = 401 if isinstance(error, InvalidApiKey) else 429
        is_key = isinstance(error, InvalidApiKey) and (not secret or secret.startswith(KEY_PREFIX))
        said = "This is no key that is good here." if is_key else error.message
        return visit.page("login.html", status=status, next=next_, problem=said)
    if visit.is_known and visit.viewer.secret is not None:  # its cookie goes, and nothing else could end it
        await visit.site.sessions.end(visit.state.keeping.db, visit.viewer.secret)
    await _put_on_record(visit, session, secret)
    response = go_to(visit.site, next_)
    _set_cookie(response, visit.site, cookie_name(visit.site), session, LONGEST_SECONDS)
    return response


async def _put_on_record(visit: Visit, session: str, secret: str) -> None:
    """That somebody came in. What is on record of a session is its person, and never its secret."""
    db = visit.state.keeping.db
    found = await visit.site.sessions.find(db, session)
    if found is not None:
        scope = OPERATOR if found.workspace_id is None else WorkspaceScope(found.workspace_id)
        by = Actor(person=found.person, role=found.role, address=visit.address)
        way = "key" if secret.startswith(KEY_PREFIX) else "link"
        await record(scope, db, by, Action.SESSION_BEGIN, found.person, {"way": way})


async def _open(request: Request, secret: str) -> str:
    visit, user_agent = visit_of(request), request.headers.get("user-agent", "")
    state, sessions = visit.state, visit.site.sessions
    is_suspect = request.scope.get(SUSPECT, False)
    if secret.startswith(KEY_PREFIX):
        principal = await state.authenticator.authenticate(f"Bearer {secret}", is_suspect=is_suspect)
        return await sessions.open_for_key(state.keeping.db, principal, user_agent)
    if is_suspect:
        raise RateLimited("Too many wrong keys came from this address. Wait a minute, and try again.")
    return await sessions.open_by_link(state.keeping.db, secret, user_agent)


async def sign_out(request: Request) -> Response:
    """End the session."""
    visit = visit_of(request)
    if visit.viewer.secret is not None:
        await visit.site.sessions.end(visit.state.keeping.db, visit.viewer.secret)
        await visit.audit(Action.SESSION_END, visit.viewer.person, scope=OPERATOR if visit.viewer.is_operator else None)
    response = visit.redirect("/login")
    response.delete_cookie(cookie_name(visit.site), secure=visit.site.is_secure, httponly=True, samesite="strict")
    return response


async def choose_workspace(request: Request) -> Response:
    """Look at another workspace, as an operator."""
    visit = visit_of(request)
    fields = await read_fields(request)
    name = fields.text("workspace")
    principal = await principal_in(visit.operator, visit.state.keeping.db, name) if name else None
    if principal is None:
        raise NotFound("There is no such workspace.")
    await visit.audit(Action.WORKSPACE_LOOK, name, scope=principal.scope)
    response = visit.redirect("")
    _set_cookie(response, visit.site, WORKSPACE, name, _YEAR_SECONDS)
    return response


async def choose_theme(request: Request) -> Response:
    """Light, dark, or as the system has it."""
    visit = visit_of(request)
    fields = await read_fields(request)
    theme = fields.text("theme")
    if theme not in THEMES:
        raise InvalidParameter(f"theme is one of {', '.join(THEMES)}.", param="theme")
    response = go_to(visit.site, fields.text("next"))
    _set_cookie(response, visit.site, THEME, theme, _YEAR_SECONDS)
    return response


def go_to(site: Site, path: str) -> Response:
    """Go on to a page of the dashboard's, by its path and query; to the first where the path is none of them."""
    place = path.partition("?")[0]
    is_ours = f"{place}/".startswith(f"{PREFIX}/")  # as it stands: browsers read ``///dashboard`` as a host
    is_plain = path.isprintable() and "\\" not in path and ".." not in unquote(place)
    location = path if is_ours and is_plain else PREFIX
    headers = {"location": site.at(quote(location, safe="/?&=%+:,-._~!*'();@$")), "cache-control": "no-store"}
    return Response(status_code=303, headers=headers)


def _set_cookie(response: Response, site: Site, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=site.is_secure, httponly=True, samesite="strict")


ROUTES = (
    Route("GET", f"{PREFIX}/login", show, needs_key=False),
    Route("POST", f"{PREFIX}/login", sign_in, needs_key=False),
    Route("POST", f"{PREFIX}/logout", sign_out),
    Route("POST", f"{PREFIX}/theme", choose_theme, needs_key=False),
    Route("POST", f"{PREFIX}/workspace", choose_workspace),
)
