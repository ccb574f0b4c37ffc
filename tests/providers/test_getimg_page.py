"""The recipes of docs/providers/getimg.md, pasted as they stand, and tried: each against what it is for."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.domain.catalog import Catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Accepted, Completed, Finding
from safelight.domain.ports import Host
from safelight.providers.registry import KINDS, OpenBackends
from tests.providers.getimg_orders import IMAGE, VIDEO, job, order
from tests.providers.hosted import KEY, MODELS, Hosted
from tests.support.server import Server

PAGE = (Path(__file__).parents[2] / "docs/providers/getimg.md").read_text()
HOSTED, SAFELIGHT = map(tomllib.loads, re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S))


def at(recipe: dict[str, Any], base_url: str) -> Catalog:
    """The recipe's catalog, with the address of what stands in for its own."""
    moved = copy.deepcopy(recipe)
    moved["connections"][0]["base_url"] = base_url
    return read_catalog(moved, source="catalog.toml", kinds=KINDS)


@asynccontextmanager
async def opened(catalog: Catalog, key: str) -> AsyncIterator[OpenBackends]:
    backends = OpenBackends(catalog, Host(data_dir=Path(), render_processes=1, read_secret=lambda _: key))
    yield backends
    await backends.close()


async def findings(backends: OpenBackends, catalog: Catalog) -> list[Finding]:
    """What there is to say of all that the recipe binds."""
    found: list[Finding] = []
    for model in catalog.models.values():
        for binding in model.bindings:
            provider: Any = backends.open(binding.connection).provider
            found += await provider.check(model, binding)
    return found


async def test_the_hosted_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the vendor lists is made up; that the recipe fits what it says it fits is not."""
    hosted, catalog = await Hosted().open(), at(HOSTED, "http://127.0.0.1:9")
    for listed, ours in zip(MODELS, catalog.models.values(), strict=True):
        monkeypatch.setitem(listed, "id", ours.bindings[0].upstream_model)
        monkeypatch.setitem(listed, "supported_references", dict.fromkeys(ours.references, 4))
        monkeypatch.setitem(listed, "supported_durations", [5, 10])
        rate = {"billable_unit": "unit", "resolution": None, "sound": "not_applicable"}
        cost = "0.035" if ours.type is IMAGE else "0.03"
        monkeypatch.setitem(listed, "pricing", {"currency": "USD", "rates": [{**rate, "unit_price": cost}]})
    catalog = at(HOSTED, hosted.base_url)
    async with opened(catalog, KEY) as backends:
        assert {finding.level for finding in await findings(backends, catalog)} == {"ok"}
        provider: Any = backends.open("getimg").provider
        assert isinstance(await provider.submit(order("a hill"), named(IMAGE, HOSTED)), Completed)
        clip = named(VIDEO, HOSTED)
        accepted = await provider.submit(order("a hill", VIDEO, duration_seconds=5, sound=None), clip)
        assert isinstance(accepted, Accepted)
        assert isinstance(await provider.poll(accepted.handle, clip), Completed)
    await hosted.close()


async def test_another_safelight(server: Server) -> None:
    """One with the catalog that ships."""
    catalog = at(SAFELIGHT, server.base_url)
    async with opened(catalog, server.key) as backends:
        assert {finding.level for finding in await findings(backends, catalog)} == {"ok"}
        provider: Any = backends.open("back").provider
        asked = order("a hill", resolution="1K", aspect_ratio="1:1", seed=7)
        made = await provider.submit(asked, named(IMAGE, SAFELIGHT))
        assert isinstance(made, Completed), made
        assert (made.answer.seed, made.answer.cost_nanos) == (7, 5_000_000)


def named(type_: GenerationType, recipe: dict[str, Any]) -> Any:
    """A job for the recipe's model of that type."""
    model = next(entry for entry in recipe["models"] if entry["type"] == type_)
    return job(type_, upstream_model=model["bindings"][0]["model"])
