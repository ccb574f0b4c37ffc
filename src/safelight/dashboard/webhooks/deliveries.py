"""Deliveries to webhook endpoints: one with its request and answer, sending it again, and the log as a file."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts import webhooks as accounts
from safelight.accounts.audit import Action
from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.reading import number_in_path, query_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import visit_of
from safelight.dashboard.webhooks.pages import endpoint_of
from safelight.domain.errors import Forbidden
from safelight.domain.events import EventType
from safelight.domain.roles import Role
from safelight.lifecycle.delivery_views import DeliveryView, view_delivery

_COLUMNS = (
    "id",
    "event_id",
    "type",
    "generation_id",
    "endpoint_id",
    "url",
    "state",
    "attempts",
    "last_status",
    "last_error",
    "created_at",
    "last_attempt_at",
    "ended_at",
    "next_attempt_at",
)
REASONS = {
    "status": "The answer was no success.",
    "redirect": "The answer was a redirect, and webhooks follow none.",
    "timeout": "No answer came within 15 seconds.",
    "unreachable": "Nobody takes connections there.",
    "unresolved": "The name of the host does not resolve.",
    "denied_address": "The address is one that nothing is sent to: it is private, or not allowed.",
    "bad_url": "The address cannot be read.",
    "tls": "The certificate is not valid, or TLS failed.",
    "broken_answer": "The connection broke before an answer was there.",
    "endpoint_disabled": "The endpoint was disabled.",
    "nothing_to_tell": "What it tells of was erased.",
    "lost": "Each attempt ended with the process that made it.",
    "internal": "Something went wrong on this side. The server's log tells what.",
}
"""What the words of the log mean, each that people meet."""


async def show(request: Request) -> Response:
    """One delivery: what was sent, what was answered, and when it is tried again."""
    visit = visit_of(request)
    found = await _delivery_of(request)
    return visit.page("webhooks/delivery.html", delivery=found, reason=REASONS.get(found.error or ""))


async def resend(request: Request) -> Response:
    """Deliver once more, under the same event's id."""
    visit, found = visit_of(request), await _delivery_of(request)
    if found.is_disabled:
        raise Forbidden("The endpoint is disabled. Enable it first, and send again then.")
    (made,) = await accounts.redeliver(visit.scope, visit.state.keeping.db, delivery_id=found.id)
    await visit.audit(Action.DELIVERY_RESEND, found.id, {"as": made, "event": found.event_id})
    return visit.redirect(f"/webhooks/deliveries/{made}", visit.own, said="resent")


async def give_file(request: Request) -> Response:
    """An endpoint's log as a file: of the state and type that are asked for."""
    visit, fields = visit_of(request), query_fields(request)
    endpoint = await endpoint_of(request)
    rows = await accounts.list_endpoint_deliveries(
        visit.scope,
        visit.state.keeping.db,
        endpoint.id,
        state=fields.choice("state", accounts.STATES),
        type_=fields.choice("type", EventType),
        most=MOST_ROWS,
    )
    name = f"deliveries-{visit.principal.workspace}-{endpoint.id}"
    return export(request, name, _COLUMNS, map(msgspec.structs.asdict, rows))


async def _delivery_of(request: Request) -> DeliveryView:
    visit = visit_of(request)
    number = number_in_path(request, "delivery")
    return await view_delivery(visit.state.viewing, visit.state.event_json, visit.scope, number)


ROUTES = (
    Route("GET", f"{PREFIX}/webhooks/deliveries/{{delivery}}", show, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/webhooks/deliveries/{{delivery}}/resend", resend, role=Role.ADMIN),
    *routes_of_files("/webhooks/{endpoint}/deliveries", give_file, Role.ADMIN),
)
