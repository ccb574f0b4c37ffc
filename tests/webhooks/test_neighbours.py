"""What one workspace names, and how many others do the same, delays nobody else's events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from safelight.lifecycle import notify
from tests.support.tenants import Tenant, make_tenant
from tests.webhooks.receiver import Receiver
from tests.webhooks.world import World, until

pytestmark = pytest.mark.database

_TELL = """
select announce({workspace_id}, 'balance.low', null, '{{"available_nanos": 1}}', {url})
from generate_series(1, {hosts}) n
"""


class Hanging:
    """Hosts that take every connection and answer nothing until they are told to: one for each address on loopback."""

    def __init__(self, hosts: int) -> None:
        self.taken: list[str] = []
        self.answers = asyncio.Event()
        self.port = 0
        self._addresses = [f"127.1.{n // 250}.{1 + n % 250}" for n in range(1, hosts + 1)]
        self._servers: list[asyncio.Server] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Hanging]:
        try:
            for address in self._addresses:
                server = await asyncio.start_server(self._take, address, self.port)
                self.port = server.sockets[0].getsockname()[1]
                self._servers.append(server)
            yield self
        finally:
            self.answers.set()
            for server in self._servers:
                server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken.append(writer.get_extra_info("sockname")[0])
        await self.answers.wait()
        with contextlib.suppress(OSError):
            writer.write(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

    @property
    def url(self) -> str:
        """In SQL, of the n-th host."""
        return f"'http://127.1.' || n / 250 || '.' || 1 + n % 250 || ':{self.port}/'"


async def tell_all(world: World, tenant: Tenant, hanging: Hanging, hosts: int) -> None:
    """Something happens in a workspace of which each of its hosts is to be told."""
    await world.rows(f"insert into webhook_endpoints (workspace_id, secret) values ({tenant.id}, '{SECRET}')")
    await world.rows(_TELL.format(workspace_id=tenant.id, url=hanging.url, hosts=hosts))


SECRET = "whsec_" + "QUJD" * 8  # no secret of anybody's


@pytest.mark.parametrize(("workspaces", "hosts", "slots"), [(1, 600, 128), (8, 100, 32)])
async def test_hosts_that_hang_delay_no_other_workspace(
    world: World, receiver: Receiver, workspaces: int, hosts: int, slots: int
) -> None:
    await world.endpoint(receiver.url, "generation.failed")
    async with (
        Hanging(hosts).open() as hanging,
        world.delivery(slots=slots, timeout_seconds=20) as delivery,
    ):
        for _ in range(workspaces):
            await tell_all(world, await make_tenant(world.db), hanging, hosts)
        delivery.start()
        await until(lambda: len(hanging.taken) >= slots // 3)
        for number in range(1, 4):
            await world.end()
            await until(lambda expected=number: len(receiver.received) == expected)  # type: ignore[misc]
        tried = "select count(*) from deliveries where endpoint_id <> 1 and (attempts > 1 or last_error is not null)"
        assert await world.one(tried) == (0,), "the others still hang in their first attempt"
        assert len(hanging.taken) <= slots - slots // 4, "and have left places"


async def test_of_more_hosts_than_are_looked_at_at_once_all_are_told(world: World) -> None:
    hosts = notify._LANES_LOOKED_AT + 40
    async with Hanging(hosts).open() as answering, world.delivery(slots=128) as delivery:
        answering.answers.set()
        await tell_all(world, await make_tenant(world.db), answering, hosts)
        while await delivery.deliver_due():
            pass
    assert len(set(answering.taken)) == hosts
    assert await world.rows("select state::text, count(*) from deliveries group by 1") == [("delivered", hosts)]
