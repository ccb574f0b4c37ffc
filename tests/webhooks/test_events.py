"""An event comes on record with what it tells, for those who listen."""

from __future__ import annotations

import asyncio

import pytest

from safelight.domain.errors import ContentPolicyViolation, GenerationFailed, InvalidParameter
from safelight.keeping.erase import erase_workspace
from tests.webhooks.world import WORKSPACE, World

pytestmark = pytest.mark.database

EVERYBODY = "https://hooks.example.com/all"


async def types(world: World) -> list[str]:
    return [row[0] for row in await world.rows("select type from events order by id")]


async def test_without_a_listener_nothing_is_written(world: World) -> None:
    await world.end()
    assert await world.one("select count(*) from events") == (0,)
    assert await world.one("select count(*) from deliveries") == (0,)


async def test_the_event_is_committed_with_the_end_or_not_at_all(world: World) -> None:
    await world.endpoint(EVERYBODY)
    claim = await world.accept()
    await world.settle_and_roll_back(claim)
    assert await types(world) == []
    assert await world.one("select state::text from generations") == ("running",)
    made = await world.complete()
    assert await world.rows("select type, generation_id from events") == [("generation.completed", made)]
    assert await world.one("select state::text, attempts from deliveries") == ("pending", 0)


async def test_every_end_has_its_type_whatever_statement_makes_it(world: World) -> None:
    await world.endpoint(EVERYBODY)
    await world.end(error=GenerationFailed())
    await world.end(error=ContentPolicyViolation())
    claim = await world.accept()
    await world.rows(
        "update generations set state = 'canceled', run_token = null, lease_until = null, error_code = 'canceled',"
        f" charged_nanos = 0, finished_at = now() where id = '{claim.id}'"
    )
    assert await types(world) == ["generation.failed", "generation.failed", "generation.canceled"]


async def test_an_endpoint_is_told_of_the_types_it_names(world: World) -> None:
    all_of_them = await world.endpoint(EVERYBODY)
    completed_only = await world.endpoint("https://hooks.example.com/some", "generation.completed")
    await world.complete()
    await world.end(error=GenerationFailed())
    rows = await world.rows("select endpoint_id, type from deliveries join events v on v.id = event_id order by 1, 2")
    assert rows == [
        (all_of_them.id, "generation.completed"),
        (all_of_them.id, "generation.failed"),
        (completed_only.id, "generation.completed"),
    ]


async def test_a_disabled_endpoint_and_another_workspace_s_are_told_nothing(world: World) -> None:
    off = await world.endpoint(EVERYBODY)
    await world.db.run("disable_endpoint", {"id": off.id, "reason": "a test"})
    await world.db.one("create_workspace", {"name": "other"}, tuple)
    await world.rows(
        "insert into webhook_endpoints (workspace_id, url, secret)"
        f" select id, '{EVERYBODY}', 'whsec_x' from workspaces where name = 'other'"
    )
    await world.end()
    assert await types(world) == []


async def test_a_request_s_own_address_is_told_of_that_generation_alone(world: World) -> None:
    own = await world.complete(webhook_url="https://client.example.com:443/done?job=7")
    await world.complete()
    await world.end(error=ContentPolicyViolation())
    assert await world.rows("select generation_id, url, lane from events v join deliveries d on d.event_id = v.id") == [
        (own, "https://client.example.com/done?job=7", "1 https://client.example.com")
    ]
    assert await world.one("select count(*) from webhook_endpoints where url is null") == (1,)


@pytest.mark.parametrize(
    "url",
    [
        "http://client.example.com/done",
        "https://client.example.com:8443/",
        "https://user:pass@client.example.com/",
        "https://localhost/",
        "https://0x7f.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[fd00::1]/",
        "ftp://client.example.com/",
        "data:text/plain,hello",
        "/done",
        "https://client.example.com/" + "x" * 9000,
    ],
)
async def test_an_address_that_may_not_be_reached_is_refused_at_submission(world: World, url: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        await world.accept(url)
    assert caught.value.param == "webhook_url"
    assert await world.one("select count(*) from generations") == (0,)
    assert await world.one("select in_flight from accounts") == (0,)
    with pytest.raises(InvalidParameter) as caught:
        await world.endpoint(url)
    assert caught.value.param == "url"


async def test_a_refusal_by_moderation_is_told(world: World) -> None:
    await world.endpoint(EVERYBODY)
    with pytest.raises(ContentPolicyViolation):
        await world.accept(prompt="a forbidden pier")
    assert await world.rows("select type, generation_id, payload from events") == [
        ("moderation.refused", None, {"category": "forbidden", "param": "prompt"})
    ]


async def test_a_low_balance_is_told_once_a_crossing(world: World) -> None:
    """Three cents a picture, and a threshold of five dollars."""
    await world.endpoint(EVERYBODY, "balance.low")
    await world.credit(-4_950_000_000)
    await world.accept()
    assert await types(world) == []
    for _ in range(3):
        await world.accept()
    assert await world.rows("select type, payload from events") == [("balance.low", {"available_nanos": 4_990_000_000})]
    await world.credit(20_000_000)
    await world.accept()
    assert await types(world) == ["balance.low"] * 2, "more credit, and still low"
    await world.credit(1_000_000_000)
    for _ in range(2):
        await world.accept()
    assert await types(world) == ["balance.low"] * 2


async def test_a_hold_that_was_released_lets_a_low_balance_be_told_again(world: World) -> None:
    await world.endpoint(EVERYBODY, "balance.low")
    await world.credit(-4_980_000_000)
    await world.end()  # down to 4.99, and up again
    await world.credit(10_000_000)
    await world.accept()
    assert await types(world) == ["balance.low"]
    await world.accept()
    assert await types(world) == ["balance.low"] * 2


async def test_an_endpoint_that_is_deleted_while_a_generation_ends_does_not_fail_it(world: World) -> None:
    gone = await world.endpoint(EVERYBODY)
    claim = await world.accept()
    async with world.db.connection() as connection, connection.transaction():
        await connection.execute("delete from webhook_endpoints where id = %s", [gone.id])
        ending = asyncio.create_task(world.db.run("settle", world.settle_params(claim)))
        waits = "select count(*) from pg_locks where not granted and locktype in ('transactionid', 'tuple')"
        while await world.one(waits) == (0,):  # until it has come to the endpoint, which is locked
            await asyncio.sleep(0)
    assert await ending == 1
    assert await world.one("select state::text from generations") == ("failed",)
    assert await types(world) == []


async def test_erasing_a_workspace_erases_what_it_was_told(world: World) -> None:
    await world.endpoint(EVERYBODY)
    await world.end(webhook_url="https://client.example.com/canary")
    await erase_workspace(world.parts.keeping, WORKSPACE)
    for table in ("events", "deliveries", "webhook_endpoints"):
        assert await world.one(f"select count(*) from {table}") == (0,)
    assert await world.one("select webhook_url from generations") == (None,)
