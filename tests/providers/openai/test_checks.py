"""A look at a live server: what is wrong is found before anybody orders, and says what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from safelight.domain.catalog_reader import read_catalog
from safelight.domain.outcomes import Finding
from safelight.providers.registry import KINDS
from tests.domain.catalogs import IMAGE, VIDEO
from tests.providers.openai.fake import FakeServer
from tests.providers.openai.studio import provider_of

Start = Callable[..., FakeServer]

STILL = {**IMAGE, "references": {}, "sizes": {"1K": {"1:1": "1024x1024", "16:9": "1536x1024"}}, "resolutions": ["1K"]}
STILL["rates"] = [{"unit_price": "0.05"}]
CLIP = {**VIDEO, "supports_sound": False, "references": {"first_frame": 1}, "rates": [{"unit_price": "0.1"}]}


async def look(
    server: FakeServer, entry: dict[str, Any], binding: dict[str, Any] | None = None, **quirks: Any
) -> list[Finding]:
    named = {"connection": "fake", "model": "fake-image" if entry["type"] == "image" else "fake-video"}
    document = {
        "connections": [server.connection(**quirks)],
        "models": [{**entry, "bindings": [{**named, **(binding or {})}]}],
    }
    (model,) = read_catalog(document, source="shop.toml", kinds=KINDS).models.values()
    async with provider_of(server, **quirks) as provider:
        found = list(await provider.check(model, model.bindings[0]))
    assert all(finding.remedy for finding in found if finding.level != "ok")
    assert not server.posts()
    return found


def problems(found: list[Finding]) -> dict[str, str]:
    return {finding.subject: finding.text for finding in found if finding.level == "problem"}


@pytest.mark.parametrize("flavor", ["openai", "vllm-omni", "sglang", "localai", "sd-server", "xai", "openrouter"])
async def test_all_is_well(fake: Start, flavor: str) -> None:
    found = await look(fake(flavor), STILL)
    assert [finding.level for finding in found] == ["ok"] * len(found) and found[0].subject == "connection"
    if flavor != "sd-server":
        assert not problems(await look(fake(flavor), CLIP))


async def test_nobody_is_there(fake: Start) -> None:
    gone = FakeServer()
    gone.port = 9
    assert "does not answer" in problems(await look(gone, STILL))["connection"]


async def test_a_certificate_is_not_known_and_a_path_is_wrong(fake: Start) -> None:
    server = fake("openai")
    (finding,) = await look(server, STILL, base_url=server.base_url.replace("http://", "https://"))
    assert finding.level == "problem" and "SSL_CERT_FILE" in finding.remedy and "http://" in finding.remedy
    (finding,) = await look(server, STILL, base_url=server.root_url)
    assert finding.level == "warning" and "mostly with /v1" in finding.remedy


@pytest.mark.parametrize("flavor", ["openai", "openrouter"])
async def test_a_key_is_not_taken(fake: Start, flavor: str) -> None:
    server = fake(flavor)
    server.behave("auth", "auth")
    assert "HTTP 401" in problems(await look(server, STILL))["key"]


async def test_a_wrong_key_is_found_where_the_list_is_open_to_all(fake: Start) -> None:
    server = fake("openrouter")
    right, server.key = server.key, "sk-another"
    connection = server.connection()
    assert connection["key"] == "env:FAKE_KEY"
    async with provider_of(server) as provider:
        server.key = right
        document = {"connections": [connection], "models": [{**STILL, "bindings": [{"connection": "fake"}]}]}
        (model,) = read_catalog(document, source="shop.toml", kinds=KINDS).models.values()
        found = list(await provider.check(model, model.bindings[0]))
    assert "key" in problems(found)


async def test_a_model_is_not_there(fake: Start) -> None:
    found = await look(fake(), STILL, {"model": "gone"})
    assert "no gone" in problems(found)["model"]
    assert any("fake-image, fake-video" in finding.remedy for finding in found)


@pytest.mark.parametrize(("answer", "level"), [("page", "problem"), ("no_model", "warning"), ("quota", "warning")])
async def test_what_answers_lists_no_models(fake: Start, answer: str, level: str) -> None:
    server = fake()
    server.behave(answer)
    assert level in [finding.level for finding in await look(server, STILL)]


@pytest.mark.parametrize(
    ("model", "sizes", "is_refused"),
    [
        ("gpt-image-1.5", {"1:1": "1024x1024", "16:9": "1536x1024"}, False),
        ("gpt-image-1.5", {"1:1": "1024x1024", "16:9": "1536x864"}, True),
        ("gpt-image-2", {"1:1": "1024x1024", "16:9": "2048x1152"}, False),
        ("gpt-image-2", {"1:1": "1024x1024", "16:9": "1366x768"}, True),
        ("openai/gpt-image-2", {"1:1": "1024x1024", "16:9": "4096x1024"}, True),
        ("their-own", {"1:1": "1000x1000", "16:9": "1366x768"}, False),
    ],
)
async def test_sizes_that_are_certainly_refused(
    fake: Start, model: str, sizes: dict[str, str], is_refused: bool
) -> None:
    server = fake()
    server.models = [model]
    found = problems(await look(server, {**STILL, "sizes": {"1K": sizes}}, {"model": model}))
    assert list(found) == (["size 1K 16:9"] if is_refused else [])
    mended = problems(
        await look(server, {**STILL, "sizes": {"1K": sizes}}, {"model": model, "sizes": {"1K": {"16:9": "1536x1024"}}})
    )
    assert not mended


@pytest.mark.parametrize(
    ("entry", "binding", "subject"),
    [
        ({**STILL, "supports_seed": True}, {}, "seed"),
        ({**STILL, "supports_negative_prompt": True}, {}, "negative_prompt"),
        (STILL, {"provider_options": ["quality", "n"]}, "provider_options"),
        ({**CLIP, "references": {"first_frame": 1, "last_frame": 1}}, {}, "references"),
        ({**CLIP, "references": {"reference_image": 2}}, {}, "references"),
    ],
)
async def test_what_the_catalog_offers_and_openai_cannot_be_told(
    fake: Start, entry: dict[str, Any], binding: dict[str, Any], subject: str
) -> None:
    assert list(problems(await look(fake(), entry, binding))) == [subject]


async def test_more_of_the_same(fake: Start) -> None:
    assert "connection" in problems(await look(fake("sd-server"), CLIP))
    still = {**STILL, "references": {"reference_image": 1}}
    assert "references" in problems(await look(fake(), still, edits="none"))
    sizes = {"sizes": {"720p": {"16:9": "wide"}}}
    assert "size 720p 16:9" in problems(await look(fake("localai"), CLIP, sizes))
    loud = {**CLIP, "supports_sound": True}
    assert "sound" in [finding.subject for finding in await look(fake(), loud) if finding.level == "warning"]
