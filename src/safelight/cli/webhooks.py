"""``safelight webhooks``: who is told of events, and how that went."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from safelight.accounts import webhooks as accounts
from safelight.accounts.audit import Action
from safelight.accounts.workspaces import scope_of, workspace_scope
from safelight.cli.audit import note
from safelight.cli.database import with_database
from safelight.cli.numbers import MOST_ROWS, ROW, hours, whole
from safelight.cli.options import DEFAULT_WORKSPACE, AsJson, DataDir, OneWorkspace
from safelight.cli.show import print_json, print_table
from safelight.db.pool import Database
from safelight.domain.errors import InvalidParameter
from safelight.domain.scope import OPERATOR
from safelight.node.settings import load_settings
from safelight.wiring import outbound_policy

_IN_REQUESTS = "(webhook_url of requests)"
_MOST_HOURS = 8784
EndpointId = Annotated[int, Parameter(name="id", help="The endpoint's number in 'safelight webhooks list'."), ROW]


def create(
    url: Annotated[
        str | None, Parameter(help="Where events go. Without it: the secret for addresses that requests name.")
    ] = None,
    /,
    *,
    workspace: Annotated[str, Parameter(help="The workspace that is told.")] = DEFAULT_WORKSPACE,
    events: Annotated[str | None, Parameter(help="Types of events, with commas. Without it: all of them.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make an endpoint and print its secret. It is shown this once."""
    policy = outbound_policy(load_settings(data_dir=data_dir))
    types = [name.strip() for name in (events or "").split(",") if name.strip()]

    async def work(database: Database) -> accounts.NewSecret:
        scope = await workspace_scope(OPERATOR, database, workspace)
        made = await accounts.create_endpoint(scope, database, url=url, policy=policy, event_types=types)
        await note(database, Action.ENDPOINT_CREATE, made.id, scope=scope)
        return made

    made = with_database(data_dir, work)
    if as_json:
        print_json({"id": made.id, "workspace": workspace, "url": url, "events": types or None, "secret": made.secret})
    else:
        print(
            f"{made.secret}\n\nEndpoint {made.id} of workspace {workspace!r}. Keep the secret: it is not shown again."
        )


def list_all(*, workspace: OneWorkspace = None, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List endpoints: what they are told, whether they are on, and what waits for them."""

    async def work(database: Database) -> list[accounts.Endpoint]:
        return await accounts.list_endpoints(await scope_of(OPERATOR, database, workspace), database)

    rows = [_endpoint(endpoint) for endpoint in with_database(data_dir, work)]
    if as_json:
        print_json(rows)
        return
    columns = ["id", "workspace", "url", "events", "state", "pending", "old_secret_until", "created_at"]
    print_table(rows, columns=columns, empty="There is no endpoint. 'safelight webhooks create URL' makes one.")


def rotate(
    endpoint_id: EndpointId,
    /,
    *,
    keep_hours: Annotated[
        float, Parameter(help="How long the old secret signs as well; 0 ends it at once."), hours(_MOST_HOURS)
    ] = 24,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give an endpoint a new secret and print it. It is shown this once."""

    async def work(database: Database) -> accounts.NewSecret:
        made = await accounts.rotate_secret(OPERATOR, database, endpoint_id, keep_seconds=round(keep_hours * 3600))
        await note(database, Action.ENDPOINT_ROTATE, endpoint_id)
        return made

    made = with_database(data_dir, work)
    if as_json:
        print_json({"id": made.id, "secret": made.secret, "old_secret_until": made.previous_until})
        return
    until = "is over"
    if made.previous_until is not None:
        until = f"signs as well until {made.previous_until.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    print(f"{made.secret}\n\nThe old secret {until}. Keep the new one: it is not shown again.")


def enable(endpoint_id: EndpointId, /, *, data_dir: DataDir = None) -> None:
    """Send to an endpoint again that was disabled."""

    async def work(database: Database) -> None:
        await accounts.enable_endpoint(OPERATOR, database, endpoint_id)
        await note(database, Action.ENDPOINT_ENABLE, endpoint_id)

    with_database(data_dir, work)
    print(
        f"Endpoint {endpoint_id} is on. What failed meanwhile: 'safelight webhooks redeliver --endpoint {endpoint_id}'."
    )


def delete(endpoint_id: EndpointId, /, *, data_dir: DataDir = None) -> None:
    """Forget an endpoint and its log. What waits for it is not sent."""

    async def work(database: Database) -> None:
        await accounts.delete_endpoint(OPERATOR, database, endpoint_id)
        await note(database, Action.ENDPOINT_DELETE, endpoint_id)

    with_database(data_dir, work)
    print(f"Endpoint {endpoint_id} is gone.")


def deliveries(
    *,
    workspace: OneWorkspace = None,
    endpoint: Annotated[int | None, Parameter(help="Only this endpoint's."), ROW] = None,
    state: Annotated[str | None, Parameter(help="Only those pending, delivered or failed.")] = None,
    limit: Annotated[int, Parameter(help="Most lines to show."), whole(1, MOST_ROWS)] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show the log of deliveries, newest first. It goes back 30 days."""

    async def work(database: Database) -> list[accounts.DeliveryRecord]:
        scope = await scope_of(OPERATOR, database, workspace)
        return await accounts.list_deliveries(scope, database, endpoint_id=endpoint, state=state, most=limit)

    rows = [_delivery(record) for record in with_database(data_dir, work)]
    if as_json:
        print_json(rows)
        return
    columns = ["id", "created_at", "type", "about", "url", "state", "attempts", "last_answer", "next_attempt_at"]
    print_table(rows, columns=columns, empty="Nothing was delivered yet.")


def redeliver(
    delivery_id: Annotated[int | None, Parameter(name="id", help="A delivery's number in the log."), ROW] = None,
    /,
    *,
    endpoint: Annotated[int | None, Parameter(help="All that failed at this endpoint instead."), ROW] = None,
    data_dir: DataDir = None,
) -> None:
    """Deliver once more: one delivery, or all that failed at an endpoint. Events keep their ids."""
    if (delivery_id is None) == (endpoint is None):
        raise InvalidParameter("Give a delivery's number, or an endpoint with --endpoint.")

    async def work(database: Database) -> list[int]:
        made = await accounts.redeliver(OPERATOR, database, delivery_id=delivery_id, endpoint_id=endpoint)
        if made:
            await note(database, Action.DELIVERY_RESEND, delivery_id or "all", endpoint=endpoint, count=len(made))
        return made

    made = with_database(data_dir, work)
    print(f"On their way again: {len(made)}." if made else "Nothing has failed there.")


def _endpoint(endpoint: accounts.Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "workspace": endpoint.workspace,
        "url": endpoint.url or _IN_REQUESTS,
        "events": ",".join(endpoint.event_types) if endpoint.event_types else "all",
        "state": f"off: {endpoint.disabled_reason}" if endpoint.disabled_at else "on",
        "pending": endpoint.pending,
        "old_secret_until": endpoint.previous_until,
        "created_at": endpoint.created_at,
    }


def _delivery(record: accounts.DeliveryRecord) -> dict[str, Any]:
    facts = msgspec.structs.asdict(record)
    return {
        **facts,
        "about": record.generation_id,
        "last_answer": record.last_status if record.last_status is not None else record.last_error,
    }
