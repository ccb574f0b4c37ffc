"""What a catalog may say of Google, what it may not, and what a look at a live one finds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.domain.catalog import Catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import Checkable, Host, Pollable
from safelight.providers.google.provider import GoogleProvider
from safelight.providers.google.settings import Settings
from safelight.providers.google.tokens import MetadataServer
from safelight.providers.registry import KINDS, check_binding
from tests.providers.google.fake import KEY, FakeGoogle
from tests.providers.google.studio import provider_of, settings_of

HOST = Host(data_dir=Path("/nowhere"), render_processes=1, read_secret=lambda _: KEY)
BY_KEY: dict[str, Any] = {"key": "env:KEY"}
ON_VERTEX: dict[str, Any] = {"platform": "vertex", "project": "p", "credentials": "env:C"}


def catalog(
    connection: dict[str, Any], binding: dict[str, Any] | None = None, *, type_: str = "image", **more: Any
) -> Catalog:
    of_type: dict[str, Any] = {"durations": [4]} if type_ == "video" else {}
    model = {
        "id": "ours",
        "name": "Ours",
        "type": type_,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "aspect_ratios": ["16:9"],
        "resolutions": ["2K" if type_ == "image" else "720p"],
        "sizes": {"2K" if type_ == "image" else "720p": {"16:9": "64x64"}},
        "rates": [{"unit_price": "0.05"}],
        "bindings": [{"connection": "google", "model": "gemini-image", **(binding or {})}],
        **of_type,
        **more,
    }
    declared = {"connections": [{"name": "google", "kind": "google", **connection}], "models": [model]}
    return read_catalog(declared, source="shop.toml", kinds=KINDS)


@pytest.mark.parametrize(
    ("connection", "base_url", "model"),
    [
        (BY_KEY, "https://generativelanguage.googleapis.com", "/v1/models/m"),
        ({**BY_KEY, "api_version": "v1beta"}, "https://generativelanguage.googleapis.com", "/v1beta/models/m"),
        (
            ON_VERTEX,
            "https://aiplatform.googleapis.com",
            "/v1beta1/projects/p/locations/global/publishers/google/models/m",
        ),
        (
            {**ON_VERTEX, "location": "us"},
            "https://aiplatform.us.rep.googleapis.com",
            "/v1beta1/projects/p/locations/us/publishers/google/models/m",
        ),
        (
            {**ON_VERTEX, "location": "us-central1", "api_version": "v1"},
            "https://us-central1-aiplatform.googleapis.com",
            "/v1/projects/p/locations/us-central1/publishers/google/models/m",
        ),
        ({**BY_KEY, "base_url": "http://127.0.0.1:9/proxy"}, "http://127.0.0.1:9/proxy", "/v1/models/m"),
    ],
)
def test_an_address_by_platform_and_place(connection: dict[str, Any], base_url: str, model: str) -> None:
    settings = catalog(connection).connections["google"].settings
    assert isinstance(settings, Settings)
    assert (settings.base_url, settings.model_path("m")) == (base_url, model)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("tunedModels/x", "/v1/tunedModels/x"),
        ("../../evil", "/v1/models/evil"),
        ("a?b#c", "/v1/models/a%3Fb%23c"),
        ("http://evil/x", "/v1/http:/evil/x"),
    ],
)
def test_a_models_name_stays_behind_the_address(name: str, path: str) -> None:
    settings = Settings(key=Secret("env:KEY"))
    assert settings.model_path(name) == path


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ({}, "takes key"),
        ({"platform": "vertex", "project": "p", "key": "env:KEY"}, "no key"),
        ({"platform": "vertex", "credentials": "env:C"}, "takes project"),
        ({"platform": "vertex", "project": "p"}, "either credentials or metadata_url"),
        ({**ON_VERTEX, "metadata_url": "http://metadata.google.internal"}, "either credentials or metadata_url"),
        ({**BY_KEY, "credentials": "env:C"}, "credentials is for"),
        ({**BY_KEY, "metadata_url": "http://metadata.google.internal"}, "metadata_url is for"),
        ({**BY_KEY, "base_url": "ftp://x"}, "base_url"),
        ({**BY_KEY, "base_url": "https://a:b@c"}, "base_url"),
        ({**BY_KEY, "base_url": "https://c:99999"}, "base_url"),
        ({**ON_VERTEX, "project": "../x"}, "project"),
        ({**ON_VERTEX, "location": "a/b"}, "location"),
        ({**ON_VERTEX, "storage_url": "https://x/y"}, "storage_url"),
    ],
)
def test_a_connection_that_cannot_be_is_refused(connection: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        catalog(connection)
    assert refused.value.message.startswith("shop.toml: connections[0]")


@pytest.mark.parametrize(
    ("binding", "more", "words"),
    [
        ({"options": {"api": "veo"}}, {}, r"options.api: veo makes no pictures"),
        ({"options": {"api": "generate-content"}}, {"type_": "video"}, r"options.api: generate-content makes no clips"),
        ({}, {"supports_negative_prompt": True}, r"options.api: generate-content takes no negative prompt"),
        ({"options": {"modalities": ["TEXT"]}}, {}, r"options.modalities: without IMAGE"),
        ({"options": {"storage_uri": "gs://a/b"}}, {}, r"options.storage_uri: "),
        (
            {"options": {"api": "interactions"}},
            {"type_": "video", "supports_sound": True},
            "interactions has no switch for sound",
        ),
        (
            {"options": {"api": "interactions"}},
            {"type_": "video", "references": {"first_frame": 1, "last_frame": 1}},
            "no word for a last_frame",
        ),
        (
            {"options": {"api": "veo"}},
            {"type_": "video", "references": {"last_frame": 1}},
            "last_frame beside a first_frame",
        ),
        ({"options": {"duration": "none"}}, {"type_": "video", "durations": [4, 8]}, "options.duration: "),
    ],
)
def test_a_binding_that_cannot_be_served_is_found(binding: dict[str, Any], more: dict[str, Any], words: str) -> None:
    read = catalog(BY_KEY, binding, **more)
    model = read.models["ours"]
    with pytest.raises(ConfigurationError, match=words):
        check_binding(read, model, 0, model.bindings[0], HOST)


@pytest.mark.parametrize(
    "body", [{"seed": 7}, {"generationConfig": {"candidateCount": 2}}, {"parameters": {"storageUri": "gs://x/y"}}]
)
def test_a_body_that_says_what_an_order_says_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="an order says"):
        catalog(BY_KEY, {"options": {"body": body}})


def test_the_metadata_server_alone_is_opened_at_its_address() -> None:
    for url, host in (("http://169.254.169.254", "169.254.169.254"), ("http://metadata.google.internal", None)):
        policy = MetadataServer(url)._client._policy
        assert policy.allows(host or "metadata.google.internal", 80, "169.254.169.254")
        assert not policy.allows("169.254.169.254" if host is None else "another.example", 80, "169.254.169.254")
        assert not policy.allows(host or "metadata.google.internal", 8080, "169.254.169.254")


# A look at a live one.


async def look(provider: GoogleProvider, read: Catalog) -> dict[str, tuple[str, str]]:
    model = read.models["ours"]
    findings = await provider.check(model, model.bindings[0])
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    return {finding.subject: (finding.level, finding.text) for finding in findings}


@pytest.mark.parametrize("platform", ["gemini", "vertex"])
async def test_a_good_binding_is_found_good(fake: FakeGoogle, platform: str) -> None:
    async with provider_of(fake, platform) as provider:
        assert isinstance(provider, Checkable) and isinstance(provider, Pollable)
        found = await look(provider, catalog(settings_of(fake, platform)))
    assert {level for level, _ in found.values()} == {"ok"} and list(found) == ["key", "model"]
    assert fake.orders() == []


@pytest.mark.parametrize(
    ("platform", "binding", "more", "subject", "level", "text"),
    [
        ("gemini", {"model": "gemini-none"}, {}, "model", "problem", "there is no gemini-none"),
        ("vertex", {"model": "gemini-none"}, {}, "model", "problem", "there is no gemini-none"),
        ("gemini", {"model": "veo-3", "options": {"api": "veo"}}, {"type_": "video"}, "api", "problem", "platform"),
        ("gemini", {"model": "gemini-omni"}, {}, "api", "warning", "does not list"),
        ("gemini", {"sizes": {"2K": {"16:9": "a b c"}}}, {}, "sizes", "problem", "not one or two"),
        ("gemini", {"sizes": {"2K": {"16:9": "8K"}}}, {}, "sizes", "warning", "8K"),
        ("gemini", {"provider_options": ["seed"]}, {}, "provider_options", "problem", "seed"),
        ("gemini", {}, {"type_": "video", "supports_sound": True}, "sound", "problem", "no switch"),
        (
            "vertex",
            {"model": "veo-3"},
            {"type_": "video", "references": {"last_frame": 1}},
            "references",
            "problem",
            "",
        ),
    ],
)
async def test_what_is_promised_and_cannot_be_is_found(
    fake: FakeGoogle,
    platform: str,
    binding: dict[str, Any],
    more: dict[str, Any],
    subject: str,
    level: str,
    text: str,
) -> None:
    async with provider_of(fake, platform) as provider:
        found = await look(provider, catalog(settings_of(fake, platform), binding, **more))
    assert found[subject][0] == level and text in found[subject][1], found


async def test_wrong_secrets_and_nobody_there_are_found(fake: FakeGoogle) -> None:
    read = catalog(settings_of(fake, "gemini"))
    async with provider_of(fake) as provider:
        fake.key = "AIza-another"
        assert (await look(provider, read))["key"][0] == "problem"
    async with provider_of(fake, "vertex") as provider:
        fake.token_faults = [(400, {"error": "invalid_grant"}), (503, {})]
        on_vertex = catalog(settings_of(fake, "vertex"))
        assert (await look(provider, on_vertex))["credentials"][0] == "problem"
        assert "for now" in (await look(provider, on_vertex))["credentials"][1]
    async with provider_of(fake, base_url="http://127.0.0.1:9") as provider:
        assert (await look(provider, read))["address"][0] == "problem"
    async with provider_of(fake, base_url=f"{fake.base_url}/v1") as provider:
        found = await look(provider, read)
        assert found["address"][0] == "problem" and "HTTP 404" in found["address"][1]


def test_settings_can_be_shown() -> None:
    settings = catalog(ON_VERTEX).connections["google"].settings
    assert "env:C" in repr(settings) and msgspec.structs.asdict(settings)["location"] == "global"
