"""A look at the account, and at a model's own schema. Nothing is ordered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight.domain.outcomes import Finding
from safelight.domain.ports import Checkable
from tests.providers.replicate import models
from tests.providers.replicate.fake import KEY, FakeReplicate
from tests.providers.replicate.models import CLIP_VERSION, VERSION
from tests.providers.replicate.studio import CLIP_FIELDS, IMAGE, PICTURE_FIELDS, VIDEO, model_at, opened

PLAIN: dict[str, Any] = {"supports_seed": False, "supports_negative_prompt": False, "references": {}}


async def look(fake: FakeReplicate, type_: Any = IMAGE, key: str = KEY, **more: Any) -> list[Finding]:
    model = model_at(fake, type_, **more)
    async with opened(fake, key) as provider:
        assert isinstance(provider, Checkable)
        found = list(await provider.check(model, model.bindings[0]))
    assert all(each.remedy for each in found if each.level != "ok")
    assert KEY not in repr(found)
    assert fake.orders() == []
    return found


def levels(found: list[Finding]) -> dict[str, str]:
    return {each.subject: each.level for each in found}


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (IMAGE, "studio/picture"),
        (IMAGE, f"studio/picture:{VERSION}"),
        (IMAGE, "deployments/studio/pictures"),
        (VIDEO, f"artist/clip:{CLIP_VERSION}"),
    ],
)
async def test_a_good_binding_is_found_good(fake: FakeReplicate, type_: Any, name: str) -> None:
    found = await look(fake, type_, binding={"model": name, "provider_options": ["steps"]})
    assert levels(found) == {"key": "ok", "model": "ok", "input": "ok"}


@pytest.mark.parametrize(
    ("name", "level", "says"),
    [
        ("studio/nothing", "problem", "no model"),
        (f"studio/picture:{CLIP_VERSION}", "problem", "no version"),
        ("deployments/studio/nothing", "problem", "no deployment"),
        ("artist/clip", "problem", "no official model"),
        (VERSION, "warning", "cannot be looked at"),
    ],
)
async def test_a_model_that_cannot_be_run_is_found(fake: FakeReplicate, name: str, level: str, says: str) -> None:
    found = await look(fake, binding={"model": name})
    assert [(each.subject, each.level) for each in found] == [("key", "ok"), ("model", level)]
    assert says in found[1].text


async def test_a_name_that_is_none_is_found(fake: FakeReplicate) -> None:
    model = model_at(fake)
    async with opened(fake) as provider:
        found = await provider.check(model, msgspec.structs.replace(model.bindings[0], upstream_model="picture"))
    assert levels(list(found)) == {"key": "ok", "model": "problem"}


async def test_a_wrong_key_and_nobody_there_are_found(fake: FakeReplicate) -> None:
    assert levels(await look(fake, key="r8_stranger")) == {"key": "problem"}
    model = model_at(fake)
    for base_url, subject in ((f"{fake.root_url}/v2", "address"), ("http://127.0.0.1:9/v1", "address")):
        async with opened(fake, base_url=base_url) as provider:
            (finding,) = await provider.check(model, model.bindings[0])
        assert (finding.subject, finding.level) == (subject, "problem") and finding.remedy


@pytest.mark.parametrize(
    ("type_", "more", "subject", "says"),
    [
        (IMAGE, {"binding": {"options": {"fields": {**PICTURE_FIELDS, "seed": "sed"}}}}, "fields.seed", "no input sed"),
        (
            IMAGE,
            {"binding": {"options": {"fields": PICTURE_FIELDS, "input": {"steeps": 4}}}},
            "input.steeps",
            "no input steeps",
        ),
        (IMAGE, {"binding": {"provider_options": ["style"]}}, "provider_options", "no input style"),
        (
            IMAGE,
            {"binding": {"options": {"fields": PICTURE_FIELDS, "input": {"steps": 51}}}},
            "steps",
            "the most is 50",
        ),
        (
            IMAGE,
            {"binding": {"options": {"fields": PICTURE_FIELDS, "input": {"steps": 0}}}},
            "steps",
            "the least is 1",
        ),
        (
            IMAGE,
            {"binding": {"options": {"fields": PICTURE_FIELDS, "input": {"steps": "4"}}}},
            "steps",
            "type integer",
        ),
        (
            IMAGE,
            {"binding": {"options": {"fields": {**PICTURE_FIELDS, "output_format_words": {}}}}},
            "output_format",
            "'jpeg'",
        ),
        (
            VIDEO,
            {"aspect_ratios": ["1:1", "3:2"], "sizes": {"1K": {"1:1": "64x64", "3:2": "96x64"}}},
            "aspect_ratio",
            "'3:2'",
        ),
        (VIDEO, {"durations": [2, 12]}, "duration", "12: the most is 10"),
        (VIDEO, {"binding": {"sizes": {"1K": {"1:1": "4K"}}}}, "resolution", "'4K'"),
        (
            VIDEO,
            {"binding": {"options": {"fields": {**CLIP_FIELDS, "duration_as": "seconds"}}}},
            "duration",
            "type integer",
        ),
        (IMAGE, {**PLAIN, "binding": {"options": {"fields": {"prompt": "text"}}}}, "input", "wants prompt"),
    ],
)
async def test_what_the_model_does_not_take_is_found(
    fake: FakeReplicate, type_: Any, more: dict[str, Any], subject: str, says: str
) -> None:
    if type_ is VIDEO:
        binding = {"model": f"artist/clip:{CLIP_VERSION}", **more.get("binding", {})}
        more = {**more, "binding": binding}
    found = await look(fake, type_, **more)
    assert [each for each in found if (each.subject, each.level) == (subject, "problem") and says in each.text], found


@pytest.mark.parametrize("schema", [None, {}, {"components": {"schemas": {"Input": {"properties": []}}}}, "odd"])
async def test_a_model_without_a_schema_is_looked_at_no_further(
    fake: FakeReplicate, monkeypatch: pytest.MonkeyPatch, schema: Any
) -> None:
    monkeypatch.setattr(
        "tests.providers.replicate.fake.version_of",
        lambda id_, keys: {**models.version_of(id_, keys), "openapi_schema": schema},
    )
    assert levels(await look(fake)) == {"key": "ok", "model": "ok", "input": "warning"}
