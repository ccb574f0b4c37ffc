"""Two processes' parts on one database, and a request for several generations: what tests of those stand on."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from safelight.accounts.keys import Authenticator
from safelight.domain.generations import GenerationType
from safelight.domain.money import parse_usd
from safelight.domain.request import ImageInput, Request
from safelight.domain.scope import Principal
from safelight.lifecycle.submit import Submission
from safelight.wiring import Parts
from tests.money.shop import Shop
from tests.references import files
from tests.support.tenants import Tenant

PRICE = parse_usd("0.05")
PICTURE = ImageInput(url="data:image/png;base64," + base64.b64encode(files.png()).decode())
PATIENCE_SECONDS = 60
COUNT = 4


class House:
    """Two processes' parts on one database, and what is to be seen there."""

    def __init__(self, both: Sequence[Parts]) -> None:
        self.both = both
        self.parts = both[0]
        self.shop = Shop(self.parts.db)

    async def sender(self, usd: str = "10", *, spend_cap: str | None = None, **limits: int) -> tuple[Tenant, Principal]:
        customer = await self.shop.customer(usd, spend_cap=spend_cap, **limits)
        return customer, await Authenticator(self.parts.db).authenticate(f"Bearer {customer.key}")

    async def everything(self, customer: Tenant) -> dict[str, Any]:
        """Whatever an acceptance moves."""
        await self.shop.account(customer)  # which compares it with the ledger
        ((account,),) = await self.shop.query("select to_jsonb(a) from accounts a where workspace_id = %s", customer.id)
        ((spent,),) = await self.shop.query("select spent_nanos from api_keys where id = %s", customer.key_id)
        counts = {
            table: await self.shop.count(customer, table) for table in ("generations", "transfers", "idempotency_keys")
        }
        ((jobs,),) = await self.shop.query("select count(*) from procrastinate_jobs")
        inputs = sorted([facts.key async for facts in self.parts.keeping.store.walk("inputs")])
        return {**account, **counts, "spent": spent, "jobs": jobs, "inputs": inputs}

    async def states(self, customer: Tenant) -> list[str]:
        rows = await self.shop.query("select state::text from generations where workspace_id = %s", customer.id)
        return sorted(state for (state,) in rows)

    async def unseen(self, customer: Tenant) -> int:
        query = "select count(*) from generations where workspace_id = %s and unseen and state = 'completed'"
        return int((await self.shop.query(query, customer.id))[0][0])


def asked(
    sender: Principal, body: bytes | None = None, *, type_: GenerationType = GenerationType.IMAGE, **more: Any
) -> Submission:
    images = more.pop("images", ())
    model = "still" if type_ is GenerationType.IMAGE else "clip"
    duration = 5 if type_ is GenerationType.VIDEO else None
    return Submission(
        principal=sender,
        request=Request(type=type_, model=model, prompt="a hill", images=images, duration=duration),
        body_sha256=hashlib.sha256(body or secrets.token_bytes(8)).digest(),
        **more,
    )
