"""The same thing costs the same in both dialects, as quoted, as told, and as charged."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from safelight.domain.catalog import Model
from tests.money.shop import Shop
from tests.openai_dialect.catalogs import catalog_here
from tests.support.tenants import Tenant

REQUESTS = 200
MODELS = [catalog_here().models[name] for name in ("still", "plain")]


def drawn(chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request below /v1, and one below /v2 for the same picture, by what the catalog lists."""
    model: Model = chance.choice(MODELS)
    name = chance.choice([model.id, *model.aliases])
    resolution, ratio = chance.choice(model.resolutions), chance.choice(model.aspect_ratios)
    theirs: dict[str, Any] = {"model": name, "prompt": "a hill", "n": chance.choice([1, 1, 1, 2, 3])}
    ours: dict[str, Any] = {"model": model.id, "prompt": "a hill", "aspect_ratio": ratio, "resolution": resolution}
    match chance.choice(["size", "names", "quality", "nothing"]):
        case "size":
            width, height = model.sizes[resolution][ratio]
            theirs["size"] = f"{width}x{height}"
        case "names":
            theirs |= {"aspect_ratio": ratio, "resolution": resolution, "size": "auto"}
        case "quality":
            theirs |= {"quality": "hd", "aspect_ratio": ratio}
            ours["resolution"] = model.qualities.get("hd", model.resolutions[0])
        case _:
            del ours["aspect_ratio"], ours["resolution"]
    return theirs, ours


async def test_the_same_price_in_both(http: httpx.AsyncClient, shop: Shop, customer: Tenant) -> None:
    chance = random.Random(20260102)
    rich = await shop.customer("1000")
    total = Decimal(0)

    async def compare(theirs: dict[str, Any], ours: dict[str, Any]) -> Decimal:
        quote = await http.post("/v2/images/generations/quote", json=ours, headers=rich.headers)
        price = msgspec.json.decode(quote.content, type=Quoted).usage.total_cost
        answer = await http.post("/v1/images/generations", json=theirs, headers=rich.headers)
        assert answer.status_code == 200, (theirs, answer.text)
        told = msgspec.json.decode(answer.content, type=Quoted).usage.total_cost
        assert told == price * theirs["n"], (theirs, ours)
        return told

    pairs = [drawn(chance) for _ in range(REQUESTS)]
    for start in range(0, REQUESTS, 10):
        total += sum(await asyncio.gather(*(compare(*pair) for pair in pairs[start : start + 10])))
    account = await shop.settled(rich)
    assert account.available_nanos == 1000 * 10**9 - int(total * 10**9)


class Usage(msgspec.Struct):
    total_cost: Decimal


class Quoted(msgspec.Struct):
    usage: Usage
