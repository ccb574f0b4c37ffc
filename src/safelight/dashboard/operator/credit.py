"""What a workspace was given: giving more, taking back, and the history as a file."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.accounts.credit import add_credit_once, credit_history
from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.operator.workspaces import one_page, scope_of
from safelight.dashboard.reading import Fields, check_word, read_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import visit_of
from safelight.domain.errors import InvalidParameter
from safelight.domain.money import as_decimal, format_usd, parse_usd
from safelight.domain.roles import Role

_PATH = "/operator/workspaces/{name}/credit"
_HERE = f"{PREFIX}{_PATH}"
_COLUMNS = ("id", "created_at", "amount", "reason")


async def add(request: Request) -> Response:
    """Add credit, or take it back where the workspace's name was typed again. One form is one addition."""
    visit, name = visit_of(request), request.path_params["name"]
    scope = await scope_of(request)
    fields = await read_fields(request)
    try:
        nanos, reason = _amount(fields, name), fields.text("reason").strip()
        is_new = await add_credit_once(
            visit.operator,
            visit.state.keeping.db,
            to=scope,
            amount_nanos=nanos,
            reason=reason,
            reference=fields.form_id(),
        )
    except InvalidParameter as error:
        return await one_page(request, problem=error, given=fields)
    if is_new:
        await visit.audit(Action.CREDIT_ADD, name, {"amount": format_usd(nanos), "reason": reason}, scope=scope)
    said = ("credit_taken" if nanos < 0 else "credit_added") if is_new else "credit_once"
    return visit.redirect(f"/operator/workspaces/{name}", said=said)


async def give_file(request: Request) -> Response:
    """What the workspace was given, newest first, as a file."""
    visit = visit_of(request)
    entries = (await credit_history(await scope_of(request), visit.state.keeping.db))[:MOST_ROWS]
    rows = [
        {"id": each.id, "created_at": each.created_at, "amount": as_decimal(each.amount_nanos), "reason": each.reason}
        for each in entries
    ]
    return export(request, f"credit-{request.path_params['name']}", _COLUMNS, rows)


def _amount(fields: Fields, name: str) -> int:
    """Nano-dollars, negative where they are taken back. Raises ``InvalidParameter``."""
    way = fields.choice("way", ("add", "take")) or "add"
    try:
        nanos = parse_usd(fields.text("amount").strip().removeprefix("$"))
    except ValueError as error:
        raise InvalidParameter(f"{error}.", param="amount") from None
    if way == "add":
        return nanos
    check_word(fields, name, "take_name")
    return -nanos


ROUTES = (
    Route("POST", _HERE, add, role=Role.OPERATOR),
    *routes_of_files(_PATH, give_file, Role.OPERATOR),
)
