"""The workspace's webhook endpoints: those there are, making one, and what is done with one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts import webhooks as accounts
from safelight.accounts.audit import Action
from safelight.api.dialect import Route
from safelight.dashboard.exports import export, routes_of_files
from safelight.dashboard.reading import check_word, number_in_path, query_fields, read_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import InvalidParameter
from safelight.domain.events import EventType
from safelight.domain.ids import new_ulid
from safelight.domain.roles import Role
from safelight.lifecycle.followers import tell_test_event

_COLUMNS = (
    "id",
    "url",
    "event_types",
    "state",
    "disabled_reason",
    "pending",
    "recently_delivered",
    "recently_failed",
    "created_at",
)
_DELIVERIES = 50
_TYPE_CHOICES = [(str(type_), str(type_)) for type_ in EventType]
_KEPT_HOURS = {"24": "for 24 hours", "1": "for an hour", "168": "for 7 days", "0": "no more, from now on"}
"""How long an old secret signs as well."""


async def show(request: Request) -> Response:
    """The endpoints, and how it went with the newest deliveries of each."""
    visit = visit_of(request)
    endpoints, recent = await _endpoints(visit)
    return visit.page(
        "webhooks/endpoints.html",
        endpoints=endpoints,
        recent=recent,
        most_recent=accounts.MOST_RECENT,
        type_choices=_TYPE_CHOICES,
        shown_name=shown_name,
    )


async def give_file(request: Request) -> Response:
    """The endpoints as a file, without their secrets."""
    visit = visit_of(request)
    endpoints, recent = await _endpoints(visit)
    rows = [_line(each, recent[each.id]) for each in endpoints]
    return export(request, f"webhooks-{visit.principal.workspace}", _COLUMNS, rows)


async def ask(request: Request) -> Response:
    """The form for a new endpoint."""
    return _form(visit_of(request), {"url": ""}, [])


async def create(request: Request) -> Response:
    """Make an endpoint, and show its secret: this once. The same form, sent again, makes no other."""
    visit, fields = visit_of(request), await read_fields(request)
    url, event_types = fields.text("url").strip(), fields.every("events")
    try:
        if not url and fields.text("for_requests") != "yes":
            raise InvalidParameter("Give the address that is told, such as https://app.example.com/hooks.", param="url")
        if url and fields.text("for_requests") == "yes":
            raise InvalidParameter(
                "Give an address, or ask for the secret of those in requests; not both.", param="url"
            )
        made = await accounts.create_endpoint(
            visit.principal.scope,
            visit.state.keeping.db,
            url=url or None,
            policy=visit.state.submitting.webhook_policy,
            event_types=event_types if url else (),
            idempotency_key=fields.form_id(),
        )
    except InvalidParameter as problem:
        return _form(visit, {"url": url}, event_types, problem)
    await visit.audit(Action.ENDPOINT_CREATE, made.id, {"url": url or None, "events": event_types})
    endpoint = await accounts.get_endpoint(visit.scope, visit.state.keeping.db, made.id)
    return visit.page(
        "webhooks/secret.html", endpoint=endpoint, secret=made.secret, is_new=True, name=shown_name(endpoint)
    )


async def show_one(request: Request) -> Response:
    """One endpoint: what is known of it, what can be done with it, and its deliveries."""
    visit = visit_of(request)
    return await _one(visit, request, await endpoint_of(request))


async def rotate(request: Request) -> Response:
    """Give an endpoint a new secret, and show it: this once. The same form, sent again, changes nothing more."""
    visit, fields = visit_of(request), await read_fields(request)
    endpoint = await endpoint_of(request)
    try:
        kept = fields.choice("keep_hours", _KEPT_HOURS) or "24"
        if not (seen := fields.text("seen")):
            raise InvalidParameter("seen is missing. Open the endpoint's page again.", param="seen")
    except InvalidParameter as problem:
        return await _one(visit, request, endpoint, problem)
    made = await accounts.rotate_secret(
        visit.scope, visit.state.keeping.db, endpoint.id, keep_seconds=int(kept) * 3600, seen=seen
    )
    await visit.audit(Action.ENDPOINT_ROTATE, endpoint.id, {"keep_hours": int(kept)})
    return visit.page(
        "webhooks/secret.html",
        endpoint=await endpoint_of(request),
        secret=made.secret,
        is_new=False,
        name=shown_name(endpoint),
    )


async def enable(request: Request) -> Response:
    """Send to an endpoint again."""
    visit, endpoint = visit_of(request), await endpoint_of(request)
    await accounts.enable_endpoint(visit.scope, visit.state.keeping.db, endpoint.id)
    await visit.audit(Action.ENDPOINT_ENABLE, endpoint.id)
    return visit.redirect(f"/webhooks/{endpoint.id}", visit.own, said="endpoint_enabled")


async def disable(request: Request) -> Response:
    """Send nothing more to an endpoint; what waits for it has failed."""
    visit, endpoint = visit_of(request), await endpoint_of(request)
    await accounts.disable_endpoint(
        visit.scope, visit.state.keeping.db, endpoint.id, reason=f"by {visit.viewer.person}"
    )
    await visit.audit(Action.ENDPOINT_DISABLE, endpoint.id)
    return visit.redirect(f"/webhooks/{endpoint.id}", visit.own, said="endpoint_disabled")


async def delete(request: Request) -> Response:
    """Forget an endpoint and its log, once its host is typed."""
    visit, fields = visit_of(request), await read_fields(request)
    endpoint = await endpoint_of(request)
    try:
        check_word(fields, word_of(endpoint))
    except InvalidParameter as problem:
        return await _one(visit, request, endpoint, problem)
    await accounts.delete_endpoint(visit.scope, visit.state.keeping.db, endpoint.id)
    await visit.audit(Action.ENDPOINT_DELETE, endpoint.id, {"url": endpoint.url})
    return visit.redirect("/webhooks", visit.own, said="endpoint_deleted")


async def send_test(request: Request) -> Response:
    """Tell the workspace's endpoints of an event for which nothing happened."""
    visit, fields = visit_of(request), await read_fields(request)
    chosen = fields.choice("event", EventType)
    if chosen is None:
        raise InvalidParameter(f"Choose a type: {', '.join(EventType)}.", param="event")
    type_ = EventType(chosen)
    data = visit.state.event_examples[type_]
    told = await tell_test_event(visit.state.viewing.db, visit.principal.workspace_id, type_, data)
    await visit.audit(Action.EVENT_TEST, told or "", {"type": type_})
    back = fields.number("endpoint", 1, 2**62)
    return visit.redirect(
        f"/webhooks/{back}" if back else "/webhooks", visit.own, said="test_sent" if told else "nobody_listens"
    )


async def resend_failed(request: Request) -> Response:
    """Deliver once more all that failed at an endpoint."""
    visit, endpoint = visit_of(request), await endpoint_of(request)
    made = await accounts.redeliver(visit.scope, visit.state.keeping.db, endpoint_id=endpoint.id)
    if made:
        await visit.audit(Action.DELIVERY_RESEND, f"endpoint {endpoint.id}", {"count": len(made)})
    return visit.redirect(f"/webhooks/{endpoint.id}", visit.own, said="resent_failed" if made else "nothing_resent")


async def endpoint_of(request: Request) -> accounts.FoundEndpoint:
    """The endpoint that the path names. Raises ``NotFound``."""
    visit = visit_of(request)
    return await accounts.get_endpoint(visit.scope, visit.state.keeping.db, number_in_path(request, "endpoint"))


def shown_name(endpoint: accounts.Endpoint) -> str:
    return endpoint.url or "Addresses that requests name"


def word_of(endpoint: accounts.Endpoint) -> str:
    """What is typed to delete it."""
    return (endpoint.url and urlsplit(endpoint.url).hostname) or "requests"


async def _endpoints(visit: Visit) -> tuple[list[accounts.Endpoint], dict[int, accounts.RecentDeliveries]]:
    scope, db = visit.principal.scope, visit.state.keeping.db
    recent = await accounts.recent_deliveries(scope, db)
    return [each for each in await accounts.list_endpoints(scope, db) if each.id in recent], recent


async def _one(
    visit: Visit, request: Request, endpoint: accounts.FoundEndpoint, problem: InvalidParameter | None = None
) -> Response:
    scope, db, fields = visit.principal.scope, visit.state.keeping.db, query_fields(request)
    given = {"state": fields.choice("state", accounts.STATES), "type": fields.choice("type", EventType)}
    before = fields.number("before", 1, 2**62)
    deliveries, recent = await asyncio.gather(
        accounts.list_endpoint_deliveries(
            scope, db, endpoint.id, state=given["state"], type_=given["type"], before=before, most=_DELIVERIES + 1
        ),
        accounts.recent_deliveries(scope, db, endpoint.id),
    )
    return visit.page(
        "webhooks/endpoint.html",
        status=400 if problem else 200,
        endpoint=endpoint,
        name=shown_name(endpoint),
        word=word_of(endpoint),
        recent=recent[endpoint.id],
        most_recent=accounts.MOST_RECENT,
        deliveries=deliveries[:_DELIVERIES],
        older=deliveries[_DELIVERIES - 1].id if len(deliveries) > _DELIVERIES else None,
        before=before,
        given=given,
        states=accounts.STATES,
        type_choices=_TYPE_CHOICES,
        kept_hours=list(_KEPT_HOURS.items()),
        problem=problem,
    )


def _form(
    visit: Visit, typed: Mapping[str, str], chosen: list[str], problem: InvalidParameter | None = None
) -> Response:
    return visit.page(
        "webhooks/endpoint_new.html",
        status=400 if problem else 200,
        typed=typed,
        chosen=chosen,
        event_types=list(EventType),
        problem=problem,
        form_id=new_ulid(),
    )


def _line(endpoint: accounts.Endpoint, recent: accounts.RecentDeliveries) -> dict[str, Any]:
    return {
        **{name: getattr(endpoint, name) for name in _COLUMNS if hasattr(endpoint, name)},
        "event_types": " ".join(endpoint.event_types or EventType),
        "state": "disabled" if endpoint.disabled_at else "enabled",
        "recently_delivered": recent.delivered,
        "recently_failed": recent.failed,
    }


ROUTES = (
    Route("GET", f"{PREFIX}/webhooks", show, role=Role.ADMIN),
    *routes_of_files("/webhooks", give_file, Role.ADMIN),
    Route("GET", f"{PREFIX}/webhooks/new", ask, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/webhooks/new", create, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/webhooks/test", send_test, role=Role.ADMIN),
    Route("GET", f"{PREFIX}/webhooks/{{endpoint}}", show_one, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/webhooks/{{endpoint}}/rotate", rotate, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/webhooks/{{endpoint}}/enable", enable, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/webhooks/{{endpoint}}/disable", disable, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/webhooks/{{endpoint}}/delete", delete, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/webhooks/{{endpoint}}/resend-failed", resend_failed, role=Role.ADMIN),
)
