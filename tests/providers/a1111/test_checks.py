"""A look at a live server: what is found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from safelight.domain.catalog import Binding, Model
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Finding
from safelight.providers.a1111.settings import Options
from tests.providers.a1111.fake import FakeServer
from tests.providers.a1111.faults import Fault
from tests.providers.a1111.studio import MODEL, opened, provider_of, settings_of

Start = Callable[..., FakeServer]


def model_of(type_: GenerationType = GenerationType.IMAGE, **more: Any) -> Model:
    facts: dict[str, Any] = {
        "id": "m",
        "name": "M",
        "type": type_,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "aspect_ratios": ("1:1",),
        "resolutions": ("1K",),
        "durations": (),
        "references": {},
        "supports_sound": False,
        "sizes": {"1K": {"1:1": (64, 64)}},
        "rates": (),
        "bindings": (),
    }
    return Model(**{**facts, **more})


def binding_of(model: str = MODEL, **more: Any) -> Binding:
    return Binding(connection="fake", upstream_model=model, **{"options": Options(), **more})


async def looked(server: FakeServer, model: Model, binding: Binding, **quirks: Any) -> list[Finding]:
    async with provider_of(server, **quirks) as provider:
        found = list(await provider.check(model, binding))
    assert server.orders() == [], "nothing is ordered"
    assert all(finding.remedy for finding in found if finding.level != "ok")
    return found


def troubles(found: list[Finding]) -> dict[str, str]:
    return {finding.subject: finding.level for finding in found if finding.level != "ok"}


@pytest.mark.parametrize("flavor", ["a1111", "forge", "sdnext", "sd-server"])
async def test_a_good_binding_is_good(fake: Start, flavor: str) -> None:
    binding = binding_of(options=Options(body={"sampler_name": "k_euler_a"}), provider_options=("steps",))
    found = await looked(fake(flavor), model_of(references={"reference_image": 1}), binding)
    assert troubles(found) == {}
    assert "connection" in {finding.subject for finding in found}


@pytest.mark.parametrize(
    "name",
    [
        MODEL,
        "fake-model.safetensors",
        "fake-model",
        "0123456789",
        "sdxl_other",
        "sdxl/other.safetensors",
        "sdxl/other",
        "other.safetensors",
    ],
)
async def test_a_model_has_many_names(fake: Start, name: str) -> None:
    assert troubles(await looked(fake(), model_of(), binding_of(name))) == {}


async def test_a_model_that_is_not_there_is_found(fake: Start) -> None:
    found = await looked(fake(), model_of(), binding_of("no-such"))
    assert troubles(found) == {"model": "problem"}
    assert any(MODEL in finding.remedy for finding in found)
    assert troubles(await looked(fake("sd-server"), model_of(), binding_of("no-such"))) == {}, "it has one model"


async def test_what_is_wrong_with_a_server_is_told(fake: Start) -> None:
    server = fake()
    assert troubles(await looked(server, model_of(), binding_of(), user="another")) == {"key": "problem"}
    server.samples_format = "avif"
    wrong = binding_of(options=Options(body={"sampler_name": "no such"}))
    assert troubles(await looked(server, model_of(), wrong)) == {"samples_format": "problem", "sampler": "problem"}
    server.missing = ("/sdapi/v1/sd-models", "/sdapi/v1/samplers", "/sdapi/v1/options")
    assert troubles(await looked(server, model_of(), wrong)) == {"connection": "warning", "options": "warning"}
    server.port = 9
    assert troubles(await looked(server, model_of(), binding_of())) == {"connection": "problem"}


async def test_what_is_no_such_server_is_told(fake: Start) -> None:
    server = fake()
    server.answers = {"/sdapi/v1/sd-models": Fault(200, {"models": []})}
    assert troubles(await looked(server, model_of(), binding_of()))["connection"] == "problem"
    server.answers = {"/sdapi/v1/sd-models": Fault(502, "")}
    assert troubles(await looked(server, model_of(), binding_of()))["connection"] == "warning"
    odd = Fault(200, [None, 7, {"title": 5, "model_name": None, "filename": []}, {}])
    server.answers = {f"/sdapi/v1/{name}": odd for name in ("sd-models", "samplers", "options")}
    assert troubles(await looked(server, model_of(), binding_of()))["model"] == "problem"


async def test_a_server_without_jobs_is_told(fake: Start) -> None:
    found = await looked(fake(), model_of(), binding_of(), jobs=True)
    assert troubles(found) == {"jobs": "problem"}


async def test_a_video_needs_its_engine_and_jobs(fake: Start) -> None:
    video = model_of(GenerationType.VIDEO, references={"first_frame": 1, "last_frame": 1})
    good = binding_of("fake-clip", options=Options(engine="WAN Video"))
    assert troubles(await looked(fake("sdnext"), video, good)) == {}
    for binding, subject in (
        (binding_of("fake-clip", options=Options(engine="No such")), "engine"),
        (binding_of("no-such", options=Options(engine="WAN Video")), "model"),
        (binding_of("fake-clip"), "engine"),
    ):
        assert troubles(await looked(fake("sdnext"), video, binding)) == {subject: "problem"}
    assert troubles(await looked(fake("a1111"), video, good)) == {"connection": "problem"}
    assert troubles(await looked(fake("sdnext"), video, binding_of("LTX", options=Options(job="ltx")))) == {}


async def test_what_the_catalog_offers_and_cannot_be_told_is_found(fake: Start) -> None:
    offered = model_of(
        references={"reference_image": 2}, supports_sound=True, sizes={"1K": {"1:1": (60, 64)}, "2K": {"1:1": (64, 64)}}
    )
    binding = binding_of(provider_options=("batch_size", "steps"), sizes={"2K": {"1:1": "2K"}})
    assert troubles(await looked(fake(), offered, binding)) == {
        "references": "problem",
        "sound": "problem",
        "provider_options": "problem",
        "size 1K 1:1": "warning",
        "size 2K 1:1": "problem",
    }


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"user": "me"}, "user: its password is missing"),
        ({"user": "m:e", "key": "env:K"}, "a name without a colon"),
        ({"progress": "alone"}, "progress: alone takes limits.concurrency = 1"),
        ({"progress": "alone", "limits": {"concurrency": 2}}, "progress: alone"),
        ({"max_references": 2}, "max_references: init_images takes one"),
        ({"flavor": "comfy"}, "Use one of: a1111, forge, sdnext, sd-server"),
        ({"api_key": "env:K"}, "there is no such key"),
    ],
)
def test_a_connection_that_cannot_be_is_refused(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_of(**entry)
    assert words in refused.value.message


def test_a_key_is_a_password_or_both() -> None:
    for entry, key, secrets in (
        ({"user": "me"}, "pw:1", ("pw:1", "bWU6cHc6MQ==")),
        ({}, "me:pw:1", ("pw:1", "bWU6cHc6MQ==")),
    ):
        assert opened(settings_of(key="env:K", **entry), {"K": key}).secrets == secrets
    assert opened(settings_of(), {}).secrets == ()
    with pytest.raises(ConfigurationError, match="no user:password"):
        opened(settings_of(key="env:K"), {"K": "pw"})
