"""The worked example in docs/billing.md, made for real: the page shows what the ledger has."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from safelight.domain.money import format_usd, parse_usd
from tests.money.shop import IMAGE, VIDEO, Shop

PAGE = Path(__file__).parents[2] / "docs" / "billing.md"
ACCOUNTS = ("funding", "available", "held", "revenue")


def worked_example() -> list[list[str]]:
    """The rows of the page's table."""
    section = PAGE.read_text().partition("## A worked example")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    titles, _, *body = [[cell.strip() for cell in row] for row in rows]
    assert titles == ["transfer", "of", *ACCOUNTS]
    return body


def nanos(cell: str) -> int:
    amount = parse_usd(cell.removeprefix("-") or "0")
    return -amount if cell.startswith("-") else amount


async def test_the_worked_example_is_what_the_ledger_has(client: httpx.AsyncClient, shop: Shop) -> None:
    customer = await shop.customer("10")
    await client.post("/v2/images/generations", headers=customer.headers, json=IMAGE)
    for model in ("clip-broken", "clip-short"):
        made = await client.post("/v2/videos/generations", headers=customer.headers, json={**VIDEO, "model": model})
        assert made.status_code == 202
        account = await shop.settled(customer)
    transfers = await shop.query(
        """select kind, funding_nanos, available_nanos, held_nanos, revenue_nanos
           from transfers where workspace_id = %s order by id""",
        customer.id,
    )
    *lines, balance = worked_example()
    assert [(kind, *map(nanos, amounts)) for kind, _, *amounts in lines] == transfers
    assert [nanos(cell) for cell in balance[2:]] == [sum(row[n] for row in transfers) for n in range(1, 5)]
    assert nanos(balance[3]) == account.available_nanos

    shown = await client.get(f"/v2/videos/generations/{made.json()['id']}", headers=customer.headers)
    usage = re.sub(r"\s+", "", PAGE.read_text()).partition('"usage":')[2].partition("}")[0] + "}"
    assert usage.encode() in shown.content
    answer = await client.get("/v2/billing/balance", headers=customer.headers)
    assert answer.json()["balance"] == balance[3] == format_usd(account.available_nanos)
