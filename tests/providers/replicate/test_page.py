"""docs/providers/replicate.md: its recipe works as it is pasted, and it tells each setting and option."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from safelight.domain.catalog import Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import ConnectionSettings
from safelight.domain.field_map import Fields
from safelight.domain.outcomes import Accepted, Completed
from safelight.domain.request import Request, resolve
from safelight.providers.registry import KINDS
from safelight.providers.replicate.provider import KIND
from safelight.providers.replicate.settings import Options, Settings
from tests.providers.replicate import models
from tests.providers.replicate.fake import FakeReplicate
from tests.providers.replicate.studio import host, job, opened, order

PAGE = (Path(__file__).parents[3] / "docs/providers/replicate.md").read_text()
(RECIPE,) = map(tomllib.loads, re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S))
STARTER = (Path(__file__).parents[3] / "src/safelight/starters/replicate.toml").read_text()

_ADDRESS = {"type": "string", "format": "uri"}
_SDXL = {
    "prompt": {"type": "string"},
    "negative_prompt": {"type": "string"},
    "seed": {"type": "integer"},
    "width": {"type": "integer", "minimum": 128, "maximum": 2048},
    "height": {"type": "integer", "minimum": 128, "maximum": 2048},
}
_FLUX = {
    "prompt": {"type": "string"},
    "seed": {"type": "integer"},
    "aspect_ratio": {"enum": ["custom", "1:1", "16:9", "9:16"], "type": "string"},
    "image_prompt": _ADDRESS,
    "prompt_upsampling": {"type": "boolean"},
    "output_quality": {"type": "integer", "minimum": 0, "maximum": 100},
    "output_format": {"enum": ["webp", "jpg", "png"], "type": "string"},
}
_SEEDANCE = {
    "prompt": {"type": "string"},
    "seed": {"type": "integer"},
    "aspect_ratio": {"enum": ["16:9", "1:1"], "type": "string"},
    "resolution": {"enum": ["480p", "1080p"], "type": "string"},
    "duration": {"type": "integer", "minimum": 2, "maximum": 12},
    "image": _ADDRESS,
    "last_frame_image": _ADDRESS,
}
OFFERED: dict[str, tuple[dict[str, Any], bool]] = {
    "black-forest-labs/flux-1.1-pro": (_FLUX, True),
    "stability-ai/sdxl": (_SDXL, False),
    "bytedance/seedance-1-pro": (_SEEDANCE, True),
}


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's models, with what is believed of their schemas. No test has two models of one version."""
    for digit, (name, (keys, is_official)) in enumerate(OFFERED.items()):
        version = models.CLIP_VERSION if name == "stability-ai/sdxl" else f"{digit}" * 64
        if name == "stability-ai/sdxl":
            monkeypatch.delitem(models.MODELS, "artist/clip")
        monkeypatch.setitem(models.KEYS, version, keys)
        monkeypatch.setitem(models.MODELS, name, (version, is_official))


@pytest.mark.parametrize("recipe", [RECIPE, tomllib.loads(STARTER)], ids=["page", "starter"])
async def test_the_recipe_is_taken_and_makes_something(
    fake: FakeReplicate, offered: None, recipe: dict[str, Any]
) -> None:
    declared = read_catalog(recipe, source="catalog.toml", kinds=KINDS)
    async with opened(fake) as provider:
        for model in declared.models.values():
            (binding,) = model.bindings
            assert KIND.check_binding is not None
            KIND.check_binding(model, binding, host())
            assert {each.level for each in await provider.check(model, binding)} == {"ok"}
            for resolution, ratio in ((each, ratio) for each in model.resolutions for ratio in model.aspect_ratios):
                asked = order(model.type, *model.references, **spec_of(model, resolution, ratio))
                named = job(model.type, upstream_model=binding.upstream_model, options=options_of(binding.options))
                taken = await provider.submit(asked, named)
                assert isinstance(taken, Accepted), taken
                assert isinstance(await provider.poll(taken.handle, named), Completed)


def spec_of(model: Model, resolution: str, ratio: str) -> dict[str, Any]:
    request = Request(type=model.type, model=model.id, prompt="a hill", resolution=resolution, aspect_ratio=ratio)
    spec = resolve(request, model)
    return {
        name: getattr(spec, name) for name in spec.__struct_fields__ if name not in ("references", "provider_options")
    }


def options_of(options: Any) -> dict[str, Any]:
    assert isinstance(options, Options)
    return {name: getattr(options, name) for name in options.__struct_fields__}


def test_every_setting_and_option_is_told() -> None:
    told = re.findall(r"^\| `(\w+)` \|", PAGE, re.M)
    inherited = set(ConnectionSettings.__struct_fields__)
    expected = (set(Settings.__struct_fields__) - inherited) | set(Options.__struct_fields__)
    assert set(told) == expected | {"VERSION"}
    for field in Fields.__struct_fields__:
        assert f"`{field}" in PAGE, field
