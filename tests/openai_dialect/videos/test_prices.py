"""A video costs the same in either dialect, and seconds are never rounded: 200 requests of the shipped catalog."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from safelight.db.pool import Database
from safelight.domain.catalog import Catalog, Model
from safelight.domain.generations import GenerationType
from safelight.node.settings import Settings
from safelight.wiring import read_declared
from tests.money.shop import Shop, settings_environment
from tests.support.server import Server, open_folder

pytestmark = pytest.mark.database

REQUESTS = 200


def _drawn(random_: random.Random, catalog: Catalog) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request in OpenAI's words, and the same in ours."""
    model = random_.choice([each for each in catalog.models.values() if each.type is GenerationType.VIDEO])
    resolution, ratio = random_.choice(model.resolutions), random_.choice(model.aspect_ratios)
    duration = random_.choice(model.durations)
    same = {"prompt": "a hill", "aspect_ratio": ratio, "resolution": resolution}
    ours = {"model": model.id, "duration": duration, **same}
    width, height = model.sizes[resolution][ratio]
    theirs = {"model": random_.choice([model.id, *model.aliases]), "prompt": "a hill", "size": f"{width}x{height}"}
    theirs["seconds"] = random_.choice([duration, str(duration)])
    if random_.random() < 0.3:
        del theirs["size"]
        theirs |= same
    if random_.random() < 0.2:
        del theirs["seconds"]
        ours["duration"] = 4 if 4 in model.durations else model.durations[0]
    if random_.random() < 0.5:
        theirs["sound"] = ours["sound"] = random_.random() < 0.7
    return theirs, ours


def _form(fields: dict[str, Any]) -> dict[str, tuple[None, str]]:
    return {
        name: (None, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in fields.items()
    }


async def test_the_same_price_in_both_dialects(fresh_database_url: str) -> None:
    random_, catalog = random.Random(7), read_declared(Settings())
    db = Database(fresh_database_url, pool_size=2)
    await db.open()
    shop = Shop(db)
    customer = await shop.customer("100000")
    with open_folder() as folder:
        environment = settings_environment(folder / "data", fresh_database_url)
        del environment["SAFELIGHT_CATALOG"]
        server = Server(Path(folder) / "data", command="serve", env=environment)
        try:
            server.wait_until_ready()
            async with httpx.AsyncClient(base_url=server.base_url, headers=customer.headers, timeout=60) as http:
                held = 0
                for number in range(REQUESTS):
                    theirs, ours = _drawn(random_, catalog)
                    quoted = await http.post("/v2/videos/generations/quote", json=ours)
                    assert quoted.status_code == 200, (ours, quoted.text)
                    sent: dict[str, Any] = {"files": _form(theirs)} if number % 2 else {"json": theirs}
                    made = await http.post("/v1/videos", **sent)
                    assert made.status_code == 200, (theirs, made.text)
                    quote = quoted.json()
                    assert made.json()["seconds"] == str(quote["duration"])
                    assert made.json()["size"] == f"{quote['width']}x{quote['height']}"
                    rows = await shop.query("select held_nanos from generations where id = %s", made.json()["id"])
                    assert Decimal(rows[0][0]) == Decimal(str(quote["usage"]["total_cost"])) * 10**9, (theirs, ours)
                    held += rows[0][0]
                await _no_other_seconds(http, catalog)
                mine = await http.get(f"/v1/videos/{made.json()['id']}")
                assert mine.headers["openai-poll-after-ms"] == "500", "this machine draws them itself"
            assert (await shop.account(customer)).held_nanos == held, "what was refused holds nothing"
            server.stop()
        finally:
            server.kill_everything()
            await db.close()


async def _no_other_seconds(http: httpx.AsyncClient, catalog: Catalog) -> None:
    for model in catalog.models.values():
        if model.type is GenerationType.VIDEO:
            for seconds in _unlisted(model):
                refused = await http.post(
                    "/v1/videos", json={"model": model.id, "prompt": "a hill", "seconds": seconds}
                )
                error = refused.json()["error"]
                assert (refused.status_code, error["param"]) == (400, "seconds"), (seconds, error)


def _unlisted(model: Model) -> list[Any]:
    whole = [seconds for seconds in range(-1, 21) if seconds not in model.durations]
    return [*whole, *map(str, whole), 4.4, "4.0", "4s", " 4", "", "four", 10**30, "9" * 30]
