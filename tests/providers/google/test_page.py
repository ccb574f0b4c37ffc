"""The recipes of docs/providers/google.md, pasted as they stand, and tried on the stand-in; and its tables."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.outcomes import Accepted, Completed
from safelight.domain.ports import Host
from safelight.providers.google.provider import KIND
from safelight.providers.google.settings import Options, Settings
from safelight.providers.registry import KINDS, OpenBackends, check_connections
from tests.providers.google import fake as stand_in
from tests.providers.google.fake import KEY, LOCATION, PROJECT, FakeGoogle
from tests.providers.google.studio import PICTURE
from tests.support.jobs import a_job, an_order

PAGE = (Path(__file__).parents[3] / "docs/providers/google.md").read_text()
RECIPES = list(map(tomllib.loads, re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S)))


@pytest.mark.parametrize("recipe", RECIPES, ids=["key", "vertex"])
async def test_a_recipe_works(
    fake: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: dict[str, Any]
) -> None:
    """The models' names are taken as given; that the rest fits what the client sends is not."""
    moved = copy.deepcopy(recipe)
    (connection,) = moved["connections"]
    connection |= {"base_url": fake.base_url, "allow": [f"127.0.0.1:{fake.port}"]}
    if connection.get("platform") == "vertex":
        connection |= {"project": PROJECT, "location": LOCATION}
    catalog = read_catalog(moved, source="catalog.toml", kinds=KINDS)
    names = [model.bindings[0].upstream_model for model in catalog.models.values()]
    monkeypatch.setattr(stand_in, "MODELS", tuple(names))
    secret = KEY if "key" in connection else fake.service_account()
    host = Host(data_dir=tmp_path, render_processes=1, read_secret=lambda _: secret)
    check_connections(catalog, host)
    backends = OpenBackends(catalog, host)
    for model in catalog.models.values():
        (binding,) = model.bindings
        provider: Any = backends.open(binding.connection).provider
        found = await provider.check(model, binding)
        assert {each.subject for each in found if each.level == "problem"} == set(), found
        resolution, ratio = model.resolutions[0], model.aspect_ratios[0]
        role = next(iter(model.references))
        order = an_order(
            model.type,
            references=(Reference(role=role, mime_type="image/png", data=PICTURE),),
            resolution=resolution,
            aspect_ratio=ratio,
            sound=False if model.supports_sound else None,
            seed=7 if model.supports_seed else None,
            negative_prompt="fog" if model.supports_negative_prompt else None,
            **({"duration_seconds": model.durations[0]} if model.durations else {}),
        )
        assert isinstance(binding.options, Options)
        job = a_job(tmp_path, binding.options, type_=model.type, upstream_model=binding.upstream_model)
        outcome = await provider.submit(order, job)
        if model.type is GenerationType.VIDEO:
            assert isinstance(outcome, Accepted), outcome
            outcome = await provider.poll(outcome.handle, job)
        assert isinstance(outcome, Completed), outcome
    await backends.close()


@pytest.mark.parametrize(
    ("heading", "struct", "inherited"),
    [
        ("What a connection may be told", Settings, HttpConnectionSettings),
        ("What a binding may be told", Options, msgspec.Struct),
    ],
)
def test_its_tables_have_every_key(heading: str, struct: type[msgspec.Struct], inherited: type[msgspec.Struct]) -> None:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.M))
    own = set(struct.__struct_fields__) - set(getattr(inherited, "__struct_fields__", ()))
    assert told == own | ({"base_url", "key"} if struct is KIND.settings else set())
