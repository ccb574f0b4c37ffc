"""What is archived is to every key as what never was; erasing, followers and the release before go on as they did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from safelight.accounts.books import check_books
from safelight.domain.ids import new_generation_id
from safelight.domain.scope import OPERATOR
from safelight.keeping.archives import find_archived
from safelight.keeping.erase import erase_workspace
from safelight.lifecycle.followers import keep_places, place_behind
from tests.archive.world import World, ago, environment
from tests.support.histories import Past
from tests.support.server import Server
from tests.support.tenants import Tenant

PATHS = ("/v2/images/generations/{}", "/v2/generations/{}/receipt", "/v2/generations/{}/events", "/v1/videos/{}")


async def test_an_archived_id_is_as_one_that_never_was(world: World, fresh_server: Callable[..., Server]) -> None:
    server = fresh_server(command="serve", env=environment(world))
    owner, stranger = await world.tenant(), await world.tenant()
    gone, kept = await world.past(owner, [Past(at=ago(40)), Past(at=ago(1))])
    await asyncio.to_thread(server.wait_until_ready)
    async with httpx.AsyncClient(base_url=server.base_url, timeout=90) as client:
        costs = await told(client, owner, costs_path())
        before = await told(client, owner, PATHS[0].format(gone))
        assert before[0] == 200 and (await told(client, owner, PATHS[1].format(gone)))[0] == 200
        await world.archived()
        for path in PATHS:
            never = await told(client, owner, path.format(new_generation_id()))
            assert never[0] == 404
            for customer in (owner, stranger):
                assert await told(client, customer, path.format(gone)) == never
        deleted = await client.delete(f"/v2/generations/{gone}/media", headers=owner.headers)
        assert deleted.status_code == 404
        listed = await client.get("/v2/generations", headers=owner.headers)
        assert [each["id"] for each in listed.json()["data"]] == [kept]
        assert await told(client, owner, costs_path()) == costs
        assert costs[1]["total_cost"] == 0.1


def costs_path() -> str:
    return f"/v2/billing/costs?start={ago(42):%Y-%m-%dT%H:%M:%SZ}&end={ago(0):%Y-%m-%dT%H:%M:%SZ}"


async def told(client: httpx.AsyncClient, customer: Tenant, path: str) -> tuple[int, Any]:
    answer = await client.get(path, headers=customer.headers)
    body = answer.json() if "json" in answer.headers.get("content-type", "") else answer.content
    return answer.status_code, body


@pytest.mark.database
async def test_an_erased_workspace_keeps_its_amounts_and_nothing_else(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    gone, _ = await world.past(tenant, [Past(at=ago(40), end_user="canary"), Past(at=ago(1), end_user="canary")])
    await world.past(other, [Past(at=ago(39))])
    world.sql("update generations set webhook_url = 'https://canary.example/' where workspace_id = %s", tenant.id)
    await world.archived()
    await erase_workspace(world.keeping, tenant.name)
    found = await find_archived(world.keeping, gone)
    assert (found.workspace_id, found.charged_nanos) == (tenant.id, 50_000_000)
    for segment in await world.segments():
        assert b"canary" not in world.file(segment).read_bytes()
    assert not world.sql("select 1 from generations where webhook_url is not null or end_user is not null")
    await world.check()


@pytest.mark.database
async def test_who_follows_goes_on_where_the_newest_event_was(world: World) -> None:
    """It is the last place in the order, and stays; the generation that it told of may go."""
    tenant = await world.tenant()
    (id_,) = await world.past(tenant, [Past(at=ago(40))])
    await place_behind(world.db, tenant.id, None, param="x")
    ((event_id,),) = world.sql("select record_event(%s, 'generation.completed', %s, '{}', null)", tenant.id, id_)
    place = await place_behind(world.db, tenant.id, event_id, param="x")
    assert "an event of it is still kept" in ((await world.archive()).stopped_by or "")
    assert await keep_places(world.db) == 0, "it is too new"
    world.sql("update events set created_at = created_at - interval '31 days'")
    assert await keep_places(world.db) == 1
    await world.archived()
    assert world.count("generations") == 0
    assert await place_behind(world.db, tenant.id, event_id, param="x") == place
    assert await place_behind(world.db, tenant.id, None, param="x") == place


@pytest.mark.database
async def test_a_node_of_the_release_before_goes_on(world: World) -> None:
    """It makes, settles and deletes; its look at all books knows of no archive, so that archiving begins after it."""
    tenant = await world.tenant()
    await world.past(tenant, [Past(at=ago(40)), Past(at=ago(1))])
    frozen = Path(__file__).parents[1] / "db" / "release_0007"
    with psycopg.connect(world.url, autocommit=True) as connection:
        drift = (frozen / "books_drift.sql").read_text()
        assert connection.execute(drift.encode()).fetchall() == []
        await world.archived()
        assert connection.execute(drift.encode()).fetchall() != []
        since = (frozen / "books_drift_since_close.sql").read_text()
        ((number,),) = connection.execute("select transfer_id from books_close").fetchall()
        assert connection.execute(since, {"since": number}).fetchall() == [], "from the close on it agrees"
    assert (await check_books(OPERATOR, world.db)).balances
