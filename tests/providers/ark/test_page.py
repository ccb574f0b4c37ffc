"""The page tells each key and option, and its recipe is pasted as it stands and tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.catalog_reader import read_catalog
from safelight.domain.outcomes import Accepted, Completed
from safelight.domain.request import Order, Request, resolve
from safelight.providers.ark.settings import Options, Settings
from safelight.providers.registry import KINDS, OpenBackends, check_connections
from tests.providers.ark.fake import FakeArk
from tests.providers.ark.studio import host_of, job_of

PAGE = (Path(__file__).parents[3] / "docs/providers/ark.md").read_text()
OF_EVERY_KIND = {"limits", "flat_is_refusal", "allow"}


def told(heading: str) -> list[str]:
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_every_setting_and_option_is_told() -> None:
    assert set(told("What a connection may be told")) == set(Settings.__struct_fields__) - OF_EVERY_KIND
    assert set(told("What a binding may be told")) == set(Options.__struct_fields__)


async def test_the_recipe(fake: FakeArk) -> None:
    recipe: dict[str, Any] = tomllib.loads(PAGE.partition("```toml")[2].partition("```")[0])
    recipe["connections"][0]["base_url"] = fake.base_url
    catalog = read_catalog(recipe, source="catalog.toml", kinds=KINDS)
    check_connections(catalog, host_of(fake.key))
    backends = OpenBackends(catalog, host_of(fake.key))
    provider: Any = backends.open("ark").provider
    for model in catalog.models.values():
        (binding,) = model.bindings
        assert {finding.level for finding in await provider.check(model, binding)} == {"ok"}
        for resolution in model.resolutions:
            for ratio in model.aspect_ratios:
                request = Request(
                    type=model.type, model=model.id, prompt="a hill", resolution=resolution, aspect_ratio=ratio
                )
                spec = resolve(request, model)
                order = Order(id="req-1", type=model.type, model=model.id, spec=spec)
                assert isinstance(binding.options, Options)
                job = job_of(model.type, options=binding.options, upstream_model=binding.upstream_model)
                outcome = await provider.submit(order, job)
                assert isinstance(outcome, Completed | Accepted), outcome
    await backends.close()
    assert msgspec.json.encode(fake.orders).count(b'"flex"') == 1
