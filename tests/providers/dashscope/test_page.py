"""The page tells each setting, option and rule as it is, and its recipe works as it is pasted."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.domain.catalog import Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.outcomes import Accepted, Completed
from safelight.domain.ports import Host
from safelight.domain.request import Order, Request, resolve
from safelight.providers.dashscope.settings import INPUTS, Options, Settings, shape_of
from safelight.providers.noop import png
from safelight.providers.registry import KINDS, OpenBackends, check_connections
from tests.providers.dashscope.fake import KEY, Fake
from tests.providers.dashscope.studio import job

PAGE = (Path(__file__).parents[3] / "docs/providers/dashscope.md").read_text()
(RECIPE,) = map(tomllib.loads, re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S))
HOST = Host(data_dir=Path(), render_processes=1, read_secret=lambda _: KEY)


def told_under(heading: str) -> list[str]:
    """The first cells of the table under it."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.M)


def test_each_setting_and_option_is_told() -> None:
    of_all = set(HttpConnectionSettings.__struct_fields__) - {"base_url", "key"}
    assert set(told_under("What a connection may be told")) == set(Settings.__struct_fields__) - of_all
    assert told_under("Options of a binding") == list(Options.__struct_fields__)
    assert set(re.findall(r"`(audio_url|template|function|mask_image_url)`", PAGE)) <= INPUTS


@pytest.mark.parametrize(
    ("row", "type_", "model"),
    [
        (0, "image", "wan2.2-t2i-flash"),
        (1, "image", "wan2.5-i2i-preview"),
        (2, "image", "wanx2.1-imageedit"),
        (3, "image", "wan2.6-t2i"),
        (3, "image", "z-image-turbo"),
        (4, "video", "wan2.2-kf2v-flash"),
        (5, "video", "wan2.6-t2v"),
        (5, "video", "wanx2.1-i2v-plus"),
        (6, "video", "wan3.0-video"),
        (6, "video", "happyhorse-1.0-i2v"),
    ],
)
def test_what_follows_from_a_name_is_told(row: int, type_: str, model: str) -> None:
    table = PAGE.partition("| models whose name begins with |")[2].partition("\n\n")[0].splitlines()[2:]
    api, inputs, size = (cell.strip() for cell in table[row].strip("|").split("|")[1:])
    shape = shape_of(model, GenerationType(type_), Options())
    assert api == f"`{shape.api}`"
    usual, _, of_pictures = size.partition("; with `i2v` in it ")
    assert (of_pictures if "i2v" in model and of_pictures else usual) == f"`{shape.size}`"
    if inputs.startswith("`"):
        assert inputs == ", ".join(f'`{role} = "{name}"`' for role, name in shape.inputs.items())
    elif inputs.startswith("each"):
        assert set(shape.inputs.values()) == {"media[]"}
    else:
        assert not shape.inputs


async def test_the_recipe_works_as_it_is_pasted(fake: Fake) -> None:
    moved: dict[str, Any] = copy.deepcopy(RECIPE)
    assert moved["connections"][0]["base_url"].endswith("/api/v1")
    moved["connections"][0]["base_url"] = fake.base_url
    catalog = read_catalog(moved, source="shop.toml", kinds=KINDS)
    check_connections(catalog, HOST)
    backends = OpenBackends(catalog, HOST)
    provider: Any = backends.open("dashscope").provider
    fake.models = [model.bindings[0].upstream_model for model in catalog.models.values()]
    for model in catalog.models.values():
        found = await provider.check(model, model.bindings[0])
        assert [finding.level for finding in found] == ["ok", "ok"], found
        for order in orders_of(model):
            assert isinstance(await made(provider, model, order), Completed)
    await backends.close()


def orders_of(model: Model) -> list[Order]:
    """The least that may be asked for, and the most."""
    asked = Request(type=model.type, model=model.id, prompt="a red fox")
    roles = [role for role, count in model.references.items() for _ in range(count)]
    pictures = tuple(Reference(role=role, mime_type="image/png", data=png()) for role in roles)
    most = msgspec.structs.replace(
        asked,
        aspect_ratio=model.aspect_ratios[-1],
        resolution=model.resolutions[-1],
        seed=7 if model.supports_seed else None,
        negative_prompt="blur" if model.supports_negative_prompt else None,
        sound=True if model.supports_sound else None,
        provider_options=dict.fromkeys(model.provider_options, "https://example.com/a.mp3"),
    )
    return [
        Order(id="req-1", type=model.type, model=model.id, spec=resolve(asked, model)),
        Order(id="req-2", type=model.type, model=model.id, spec=resolve(most, model), references=pictures),
    ]


async def made(provider: Any, model: Model, order: Order) -> object:
    binding = model.bindings[0]
    word = binding.size_word(order.spec.resolution, order.spec.aspect_ratio)
    given = job(order.type, binding.upstream_model, size_word=word)
    given = msgspec.structs.replace(given, options=binding.options)
    outcome = await provider.submit(order, given)
    return await provider.poll(outcome.handle, given) if isinstance(outcome, Accepted) else outcome
