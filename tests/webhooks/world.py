"""A workspace with credit, generations that end at once, and the delivery of what they tell."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg

from safelight import wiring
from safelight.accounts.credit import add_credit
from safelight.accounts.keys import Authenticator
from safelight.accounts.webhooks import NewSecret, create_endpoint
from safelight.api.getimg import wire
from safelight.db.pool import statement
from safelight.domain.errors import ContentPolicyViolation, SafelightError
from safelight.domain.generations import GenerationType
from safelight.domain.request import Request
from safelight.domain.scope import OPERATOR, Principal
from safelight.lifecycle import settle
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.notify import LANE_SLOTS, WebhookDelivery
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.submit import Submission, submit
from safelight.node.settings import load_settings
from safelight.webhooks.sender import Sender
from tests.support.tenants import make_tenant

_CATALOG = """
[[models]]
id = "tiny"
name = "Tiny"
type = "image"
created_at = 2026-01-20T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["1K"]
rates = [{ unit_price = "0.03" }]
bindings = [{ connection = "noop" }]
[models.sizes."1K"]
"1:1" = "64x64"
"""
# The ledger refuses to be emptied otherwise.
EMPTY = """
set session_replication_role = replica;
truncate workspaces restart identity cascade;
reset session_replication_role
"""
WORKSPACE = "studio"


class World:
    """One process's parts on a database, with one workspace and its key."""

    def __init__(self, parts: wiring.Parts, principal: Principal) -> None:
        self.parts = parts
        self.db = parts.db
        self.principal = principal

    async def endpoint(self, url: str | None, *event_types: str) -> NewSecret:
        policy = self.parts.submitting.webhook_policy
        return await create_endpoint(self.principal.scope, self.db, url=url, policy=policy, event_types=event_types)

    async def accept(self, webhook_url: str | None = None, prompt: str = "a pier") -> Claim:
        """An image that is under way."""
        request = Request(type=GenerationType.IMAGE, model="tiny", prompt=prompt, webhook_url=webhook_url)
        body_sha256 = hashlib.sha256(secrets.token_bytes(8)).digest()
        accepted = await submit(
            self.parts.submitting, Submission(principal=self.principal, request=request, body_sha256=body_sha256)
        )
        assert accepted.claim is not None
        return accepted.claim

    async def end(
        self, webhook_url: str | None = None, error: SafelightError | None = None, count: int = 1
    ) -> list[str]:
        """Images that have ended: as refused, or with ``error``. Their ids."""
        claims = [await self.accept(webhook_url) for _ in range(count)]
        for claim in claims:
            assert await settle.fail(self.db, claim, error or ContentPolicyViolation()) is not None
        return [claim.id for claim in claims]

    async def complete(self, webhook_url: str | None = None) -> str:
        """An image that was made."""
        runner = Runner(self.parts.running)
        claim = await self.accept(webhook_url)
        await runner.start(claim)
        await runner.close(1)
        return claim.id

    async def credit(self, amount_nanos: int) -> None:
        """More credit, or less."""
        to = self.principal.scope
        await add_credit(OPERATOR, self.db, to=to, amount_nanos=amount_nanos, reason="for a test")

    @contextlib.asynccontextmanager
    async def delivery(
        self, *, timeout_seconds: float = 10, lane_slots: int = LANE_SLOTS, slots: int = 64, **sender: Any
    ) -> AsyncIterator[WebhookDelivery]:
        """One worker's delivery, not started."""
        posts = Sender(
            sender.pop("policy", self.parts.submitting.webhook_policy),
            max_connections=slots,
            timeout_seconds=timeout_seconds,
            **sender,
        )
        made = WebhookDelivery(self.parts.viewing, posts, wire.as_its_get_answers, slots=slots, lane_slots=lane_slots)
        try:
            yield made
        finally:
            await made.close(0)

    async def deliver(self) -> int:
        """One attempt at everything that is due."""
        async with self.delivery() as delivery:
            return await delivery.deliver_due()

    async def rows(self, query: str) -> list[Any]:
        """What the database says."""
        async with await psycopg.AsyncConnection.connect(self.db.url, autocommit=True) as connection:
            cursor = await connection.execute(query)
            return await cursor.fetchall() if cursor.description else []

    async def one(self, query: str) -> tuple[Any, ...]:
        (row,) = await self.rows(query)
        return tuple(row)

    async def make_due(self) -> None:
        """As if every wait were over."""
        await self.rows("update deliveries set next_attempt_at = now() where state = 'pending'")

    def settle_params(self, claim: Claim) -> dict[str, Any]:
        """Of the statement that ends a generation: as failed."""
        return {
            "id": claim.id,
            "run_token": claim.run_token,
            "state": "failed",
            "unseen": False,
            "sent_after_seconds": None,
            "charged_nanos": 0,
            "charged_thousandths": 0,
            "error_code": "generation_failed",
            "error_message": "no",
            "report": None,
            "media": "[]",
            "frees_key": False,
            "may_be_made": False,
            "cost_nanos": None,
            "seed": None,
            "loss": None,
        }

    async def settle_and_roll_back(self, claim: Claim) -> None:
        """A commit that does not come about."""
        async with self.db.connection() as connection, connection.transaction(force_rollback=True):
            cursor = await connection.execute(statement("settle"), self.settle_params(claim))
            assert cursor.rowcount == 1


@contextlib.asynccontextmanager
async def open_world(database_url: str, folder: Path, **settings: str) -> AsyncIterator[World]:
    """A workspace with ten dollars on a database that is emptied for it."""
    catalog = folder / "catalog.toml"
    catalog.write_text(_CATALOG)
    blocklist = folder / "blocklist.toml"
    blocklist.write_text('[[rules]]\ncategory = "forbidden"\nterms = ["forbidden"]\n')
    environ = {
        "SAFELIGHT_DATABASE_URL": database_url,
        "SAFELIGHT_DATA_DIR": str(folder / "data"),
        "SAFELIGHT_SIGNING_KEYS": f"k1:{secrets.token_hex(32)}",
        "SAFELIGHT_CATALOG": str(catalog),
        "SAFELIGHT_REFERENCES_ALLOW": "127.0.0.0/8",
        "SAFELIGHT_MODERATION": "blocklist",
        "SAFELIGHT_MODERATION_BLOCKLIST": str(blocklist),
        **settings,
    }
    async with wiring.open_parts(load_settings(environ)) as parts:
        async with parts.db.connection() as connection:
            await connection.execute(EMPTY)
        tenant = await make_tenant(parts.db, WORKSPACE, usd="10")
        principal = await Authenticator(parts.db).authenticate(tenant.headers["Authorization"])
        yield World(parts, principal)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds; the test's own time limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0.01)
