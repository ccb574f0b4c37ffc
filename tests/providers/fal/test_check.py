"""A look at a live model: what it publishes is held against the binding, and nothing is ordered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight.domain.catalog import Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.outcomes import Finding
from safelight.providers.fal import check
from safelight.providers.fal.provider import FalProvider
from safelight.providers.registry import KINDS
from tests.providers.fal import fake as stand_in
from tests.providers.fal.fake import IMAGES, KEY, VIDEOS, FakeFal
from tests.providers.fal.studio import IMAGE_OPTIONS, VIDEO_OPTIONS, open_provider
from tests.providers.fal.test_orders import catalog


def model(binding: dict[str, Any] | None = None, type_: str = "image", **more: Any) -> Model:
    usual = {"model": IMAGES, "options": IMAGE_OPTIONS}
    if type_ == "video":
        usual = {"model": VIDEOS, "options": VIDEO_OPTIONS}
        more = {"references": {"first_frame": 1}, "aspect_ratios": ["1:1", "16:9"], **more}
    document = catalog({**usual, **(binding or {})}, type_, **more)
    return read_catalog(document, source="-", kinds=KINDS).models["ours"]


async def look(provider: FalProvider, looked_at: Model, **binding: Any) -> list[Finding]:
    found = list(await provider.check(looked_at, msgspec.structs.replace(looked_at.bindings[0], **binding)))
    assert all(finding.remedy for finding in found if finding.level != "ok")
    assert KEY not in str(found)
    return found


@pytest.mark.parametrize("type_", ["image", "video"])
async def test_a_good_binding_is_found_good(fake: FakeFal, provider: FalProvider, type_: str) -> None:
    found = await look(provider, model(type_=type_))
    assert [(each.level, each.subject) for each in found] == [("ok", "key"), ("ok", "model"), ("ok", "input")]
    assert fake.posts() == []


SIZES = {each: {"1:1": "64x64", "3:2": "96x64"} for each in ("1K", "2K")}


def with_options(options: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"options": {**options, **more}}


@pytest.mark.parametrize(
    ("looked_at", "subject", "text"),
    [
        (model({"model": "me/mine"}), "model", "no model 'me/mine'"),
        (model(with_options(IMAGE_OPTIONS, input={"loras": []})), "input.loras", "no loras"),
        (model(with_options(IMAGE_OPTIONS, fields={"size": "shape"})), "fields.size", "no shape"),
        (model({"provider_options": ["style"]}), "provider_options style", "no style"),
        (model({"model": VIDEOS}), "type", "image-to-video"),
        (model(with_options(IMAGE_OPTIONS, fields={"prompt": "image_urls", "size": "image_size"})), "input", "prompt"),
        (model(type_="video", durations=[2, 9]), "duration", "9"),
        (model(type_="video", aspect_ratios=["1:1", "3:2"], sizes=SIZES), "aspect_ratio", "3:2"),
        (model({"sizes": {"1K": {"1:1": "8K"}}}, type_="video"), "resolution", "8K"),
    ],
)
async def test_what_is_promised_and_not_there_is_found(
    provider: FalProvider, looked_at: Model, subject: str, text: str
) -> None:
    found = await look(provider, looked_at)
    assert [each for each in found if (each.subject, each.level) == (subject, "warning") and text in each.text], found


async def test_a_wrong_key_and_nobody_there_are_found(fake: FakeFal, provider: FalProvider) -> None:
    stranger = open_provider(fake, key="another")
    assert ("problem", "key") in [(each.level, each.subject) for each in await look(stranger, model())]
    await stranger.close()
    fake_url, _ = fake.models_url, await fake.close()
    found = await look(provider, model())
    assert [(each.level, each.subject) for each in found] == [("problem", "address"), ("warning", "model")], fake_url


@pytest.mark.parametrize(
    ("status", "said", "subject"),
    [
        (403, {"detail": "User is locked. Reason: Exhausted balance."}, "balance"),
        (403, {"detail": "No."}, "key"),
        (502, "<html></html>", "address"),
        (301, "", "address"),
    ],
)
async def test_what_the_queue_declines_is_found(
    fake: FakeFal, provider: FalProvider, status: int, said: Any, subject: str
) -> None:
    fake.statuses = [(status, said)]
    assert ("problem", subject) in [(each.level, each.subject) for each in await look(provider, model())]


async def test_the_list_of_models_is_asked_without_the_key(fake: FakeFal) -> None:
    other = await FakeFal().open()
    provider = open_provider(fake, models_url=other.models_url, allow=[f"127.0.0.1:{other.port}"])
    assert [each.level for each in await look(provider, model())] == ["ok", "ok", "ok"]
    (asked,) = other.asked
    assert "authorization" not in asked.headers
    await provider.close()
    await other.close()


@pytest.mark.parametrize(
    "entry",
    [
        {
            "metadata": {"status": "deprecated", "category": "text-to-image"},
            "openapi": stand_in.model_entry(IMAGES)["openapi"],
        },
        {"metadata": None, "openapi": None},
        {"openapi": {"paths": []}},
        {"openapi": {"paths": {"/x": {"post": {}}}}},
        {"metadata": [], "openapi": {"paths": {}, "components": 7}},
    ],
)
async def test_a_list_of_another_shape_is_a_warning(
    provider: FalProvider, entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "model_entry", lambda id_: {"endpoint_id": id_, **entry})
    found = await look(provider, model())
    assert "warning" in [each.level for each in found] and "problem" not in [each.level for each in found]


@pytest.mark.parametrize(
    ("schema", "choices"),
    [
        ({"enum": ["a"]}, ["a"]),
        ({"anyOf": [{"enum": ["a"]}, {"type": "null"}]}, ["a"]),
        ({"anyOf": [{"enum": ["a"]}, {"type": "integer"}]}, None),
        ({"anyOf": 7}, None),
        ({"type": "string"}, None),
        (None, None),
    ],
)
def test_what_a_property_may_be(schema: Any, choices: list[str] | None) -> None:
    assert check._choices(schema) == choices
