"""The page tells each quirk, flavor and option as it is, and its recipes work as they are pasted."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from safelight.domain.catalog import Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Accepted, Completed, Pending
from safelight.domain.request import Order, Request, resolve
from safelight.providers.a1111.provider import JobsProvider, WebUiProvider
from safelight.providers.a1111.settings import FLAVORS, Options, Quirks, ServerSettings
from safelight.providers.registry import KINDS
from tests.providers.a1111 import fake as stand_in
from tests.providers.a1111.fake import FakeServer
from tests.providers.a1111.studio import job_of, provider_of, references

PAGE = (Path(__file__).parents[3] / "docs/providers/a1111.md").read_text()
RECIPES = {
    title: (text.partition("```toml")[0], tomllib.loads(text.partition("```toml")[2].partition("```")[0]))
    for title, text in re.findall(r"^### (.+?)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
}
Start = Callable[..., FakeServer]


def written(value: Any) -> str:
    """A value as TOML has it."""
    return msgspec.json.encode(value).decode()


def test_every_quirk_is_told_with_its_default() -> None:
    told = {row[0]: row[1] for row in re.findall(r"^\| `(\w+)` \| .* \| `([^|`]+)` \|$", PAGE, re.MULTILINE)}
    assert told == {name: written(getattr(Quirks(), name)) for name in Quirks.__struct_fields__}


def test_every_flavor_is_told_with_what_it_says_otherwise() -> None:
    told = dict(re.findall(r"^\| `([\w-]+)` \| (`\w+ = .*`)? ?\|$", PAGE, re.MULTILINE))
    for flavor, quirks in FLAVORS.items():
        said = {name: getattr(quirks, name) for name in Quirks.__struct_fields__}
        others = [f"`{name} = {written(value)}`" for name, value in said.items() if value != getattr(Quirks(), name)]
        assert told.pop(flavor) == ", ".join(others)
    assert not told


def test_every_other_key_and_every_option_is_told() -> None:
    own = set(ServerSettings.__struct_fields__) - set(HttpConnectionSettings.__struct_fields__)
    assert {name for name in own if f"| `{name}` |" not in PAGE} == set()
    assert set(re.findall(r"^\| `options\.(\w+)` \|", PAGE, re.MULTILINE)) == set(Options.__struct_fields__)


def test_there_is_a_recipe_for_each_flavor_that_says_how_far_it_was_tried() -> None:
    assert [recipe["connections"][0]["flavor"] for _, recipe in RECIPES.values()] == list(FLAVORS)
    for title, (words, _) in RECIPES.items():
        assert "Not tried" in words or "Driven on a real server" in words, title


@pytest.mark.parametrize("title", RECIPES)
async def test_a_recipe_works_as_it_is_pasted(
    fake: Start, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, recipe = RECIPES[title]
    catalog = read_catalog(recipe, source="shop.toml", kinds=KINDS)
    (connection,) = recipe["connections"]
    assert urlsplit(connection["base_url"]).path == ""
    more = {key: connection[key] for key in connection.keys() - {"name", "kind", "base_url", "flavor", "key", "user"}}
    server = fake(connection["flavor"], key="pw" if "key" in connection else None, user=connection.get("user", ""))
    names = [model.bindings[0].upstream_model for model in catalog.models.values()]
    listed = [{"title": name, "model_name": name, "hash": "", "filename": f"/models/{name}"} for name in names]
    monkeypatch.setattr(stand_in, "MODELS", listed)
    monkeypatch.setattr(stand_in, "ENGINES", [{"engine": "WAN Video", "models": names}])
    async with provider_of(server, **more) as provider:
        for model in catalog.models.values():
            found = await provider.check(model, model.bindings[0])
            assert [finding.level for finding in found] == ["ok"] * len(found), found
            for order in orders_of(model):
                outcome = await made(provider, model, order, tmp_path)
                assert isinstance(outcome, Completed) and outcome.media, outcome


def orders_of(model: Model) -> list[Order]:
    """The least that may be asked for, and the most."""
    kind = model.type
    least = resolve(Request(type=kind, model=model.id, prompt="a red fox"), model)
    most = resolve(
        Request(
            type=kind,
            model=model.id,
            prompt="a red fox",
            aspect_ratio=model.aspect_ratios[-1],
            resolution=model.resolutions[-1],
            seed=7,
            negative_prompt="blur" if model.supports_negative_prompt else None,
            output_format="webp" if kind is GenerationType.IMAGE else None,
            provider_options=dict.fromkeys(model.provider_options, 3),
        ),
        model,
    )
    roles = [role for role, count in model.references.items() for _ in range(count)]
    plain = Order(id="req-1", type=kind, model=model.id, spec=least)
    return [plain, Order(id="req-2", type=kind, model=model.id, spec=most, references=references(*roles))]


async def made(provider: WebUiProvider, model: Model, order: Order, folder: Path) -> object:
    binding = model.bindings[0]
    assert isinstance(binding.options, Options)
    job = job_of(order, folder, model=binding.upstream_model, options=binding.options)
    outcome: object = await provider.submit(order, job)
    if not isinstance(outcome, Accepted):
        return outcome
    assert isinstance(provider, JobsProvider)
    handle, polled = outcome.handle, 0
    while isinstance(outcome, Accepted | Pending) and polled < 9:
        outcome, polled = await provider.poll(handle, job), polled + 1
    return outcome
