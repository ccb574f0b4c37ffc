"""The page tells each quirk and each flavor as it is, and its recipes work as they are pasted."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from safelight.domain.catalog import Catalog, Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Accepted, Completed, Pending
from safelight.domain.request import Order, Request, resolve
from safelight.providers.openai.provider import OpenAiProvider
from safelight.providers.openai.settings import FLAVORS, Quirks
from safelight.providers.registry import KINDS
from tests.model_server.stand_in import ModelServer, StandIn, serve
from tests.providers.openai.fake import FakeServer
from tests.providers.openai.studio import job_of, provider_of, references

PAGE = (Path(__file__).parents[3] / "docs/providers/openai.md").read_text()
RECIPES = {
    title: (text.partition("```toml")[0], tomllib.loads(text.partition("```toml")[2].partition("```")[0]))
    for title, text in re.findall(r"^### (.+?)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
}
Start = Callable[..., FakeServer]


def written(value: Any) -> str:
    """A value as TOML has it."""
    text = msgspec.json.encode(list(value) if isinstance(value, tuple) else value).decode()
    return text.replace('","', '", "')


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


def test_there_is_a_recipe_for_each_flavor_that_says_how_far_it_was_tried() -> None:
    flavors = [recipe["connections"][0].get("flavor", "openai") for _, recipe in RECIPES.values()]
    assert set(flavors) == set(FLAVORS) and len(flavors) == len(FLAVORS) + 1
    for title, (words, _) in RECIPES.items():
        assert "Not tried" in words or "Driven on a real server" in words, title


@pytest.fixture
def started() -> Iterator[Callable[..., Any]]:
    """Starts what the recipe's server is: the model server as it is, or a stand-in."""
    with ExitStack() as stack:

        def start(fake: Start, flavor: str, recipe: dict[str, Any], catalog: Catalog) -> Any:
            key = "sk-1" if "key" in recipe["connections"][0] else None
            if flavor == "model-server":
                return stack.enter_context(serve(ModelServer(StandIn(recipe["pipelines"]), key=key)))
            server = fake(flavor, key=key)
            server.models = [model.bindings[0].upstream_model for model in catalog.models.values()]
            return server

        yield start


@pytest.mark.parametrize("title", RECIPES)
async def test_a_recipe_works_as_it_is_pasted(fake: Start, started: Callable[..., Any], title: str) -> None:
    _, recipe = RECIPES[title]
    catalog = read_catalog(recipe, source="shop.toml", kinds=KINDS)
    (connection,) = recipe["connections"]
    more = {key: connection[key] for key in connection.keys() - {"name", "kind", "base_url", "flavor", "key"}}
    flavor = connection.get("flavor", "openai")
    server = started(fake, "vllm-omni" if title == "Any gateway" else flavor, recipe, catalog)
    assert urlsplit(connection["base_url"]).path == urlsplit(server.base_url).path
    async with provider_of(server, **{**more, "flavor": flavor}) as provider:
        for model in catalog.models.values():
            found = await provider.check(model, model.bindings[0])
            assert [finding.level for finding in found] == ["ok"] * len(found), found
            for order in orders_of(model):
                outcome = await made(provider, model, order)
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
            seed=7 if model.supports_seed else None,
            negative_prompt="blur" if model.supports_negative_prompt else None,
            sound=True if model.supports_sound else None,
            output_format="webp" if kind is GenerationType.IMAGE else None,
            provider_options=dict.fromkeys(model.provider_options, 3),
        ),
        model,
    )
    roles = [role for role, count in model.references.items() for _ in range(count)]
    plain = Order(id=f"{model.id}-1", type=kind, model=model.id, spec=least)
    return [plain, Order(id=f"{model.id}-2", type=kind, model=model.id, spec=most, references=references(*roles))]


async def made(provider: OpenAiProvider, model: Model, order: Order) -> object:
    binding = model.bindings[0]
    word = binding.size_word(order.spec.resolution, order.spec.aspect_ratio)
    job = job_of(order, model=binding.upstream_model, options=binding.options, size_word=word)  # type: ignore[arg-type]
    outcome: object = await provider.submit(order, job)
    if not isinstance(outcome, Accepted):
        return outcome
    handle, polled = outcome.handle, 0
    while isinstance(outcome, Accepted | Pending) and polled < 9:
        outcome, polled = await provider.poll(handle, job), polled + 1
        await asyncio.sleep(0.01)
    return outcome
