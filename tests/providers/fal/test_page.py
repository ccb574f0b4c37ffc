"""docs/providers/fal.md: its tables have every setting and option, and its recipes work as they are pasted."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from safelight.domain.catalog_reader import read_catalog
from safelight.domain.field_map import Fields
from safelight.domain.outcomes import Accepted, Completed
from safelight.domain.ports import Host
from safelight.domain.request import Order, Request, resolve
from safelight.providers.fal.provider import FalProvider
from safelight.providers.fal.settings import Options, Settings
from safelight.providers.registry import KINDS, check_connections
from tests.providers.fal import fake as stand_in
from tests.providers.fal.fake import KEY, FakeFal
from tests.providers.fal.studio import VIDEO, job

PAGE = (Path(__file__).parents[3] / "docs/providers/fal.md").read_text()
RECIPE = tomllib.loads(re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S)[0])

SENT: dict[str, dict[str, Any]] = {
    "flux-dev": {
        "num_images": 1,
        "enable_safety_checker": True,
        "image_size": {"width": 1024, "height": 1024},
        "output_format": "png",
    },
    "nano-banana-edit": {"num_images": 1, "aspect_ratio": "1:1", "output_format": "png"},
    "veo": {"aspect_ratio": "16:9", "resolution": "720p", "duration": "8s", "generate_audio": False},
    "kling-i2v": {"duration": "5"},
}
"""What each model of the recipe is told of an order that asks for nothing but a prompt."""


def tabled(heading: str) -> set[str]:
    section = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.M))


def test_every_setting_and_option_is_told() -> None:
    assert tabled("What a connection may be told") == set(Settings.__struct_fields__) - {
        "limits",
        "flat_is_refusal",
        "allow",
    }
    assert tabled("Options of a binding") == set(Options.__struct_fields__)
    for place in Fields.__struct_fields__:
        assert f"`{place}`" in PAGE or place in ("fps", "frames_step")


@pytest.mark.parametrize("id_", SENT)
async def test_a_recipe_makes_what_it_is_for(
    fake: FakeFal, provider: FalProvider, id_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = read_catalog(copy.deepcopy(RECIPE), source="catalog.toml", kinds=KINDS)
    check_connections(catalog, Host(data_dir=Path(), render_processes=1, read_secret=lambda _: KEY))
    assert set(catalog.models) == set(SENT)
    model = catalog.models[id_]
    (binding,) = model.bindings
    monkeypatch.setitem(stand_in.INPUTS, binding.upstream_model, dict.fromkeys([*SENT[id_], "prompt"]))
    if model.type is VIDEO:
        monkeypatch.setattr(stand_in, "VIDEOS", binding.upstream_model)
    spec = resolve(Request(type=model.type, model=model.id, prompt="a hill", output_format="webp"), model)
    asked = Order(id="req-1", type=model.type, model=model.id, spec=spec)
    the_job = job(model.type, upstream_model=binding.upstream_model, options=binding.options)
    outcome = await provider.submit(asked, the_job)
    assert isinstance(outcome, Accepted), outcome
    assert fake.posts()[-1].body == {"prompt": "a hill", **SENT[id_]}
    made = [await provider.poll(outcome.handle, the_job) for _ in range(3)][-1]
    assert isinstance(made, Completed) and len(made.media) == 1
