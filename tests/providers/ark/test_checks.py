"""A look at a live one, and what of a binding is found without asking anybody."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Finding
from tests.providers.ark.fake import KEY, FakeArk
from tests.providers.ark.faults import error
from tests.providers.ark.studio import IMAGE, VIDEO, catalog_of, entry, provider_of

BINDING: dict[str, Any] = {"connection": "ark"}


async def looked(fake: FakeArk, model: dict[str, Any], **settings: Any) -> list[Finding]:
    looked_at = catalog_of(model).models["ours"]
    async with provider_of(fake, **settings) as provider:
        findings: list[Finding] = list(await provider.check(looked_at, looked_at.bindings[0]))
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    assert KEY not in repr(findings) and fake.orders == []
    return findings


@pytest.mark.parametrize("type_", [IMAGE, VIDEO])
async def test_a_good_binding_is_found_good(fake: FakeArk, type_: Any) -> None:
    findings = await looked(fake, entry(type_))
    assert [(finding.subject, finding.level) for finding in findings] == [("key", "ok"), ("model", "ok")]


@pytest.mark.parametrize(
    ("model", "subject", "level", "text"),
    [
        (entry(binding={"model": "seedream-4-5"}), "model", "warning", "no seedream-4-5"),
        (entry(binding={"model": "ep-20260101-abcde"}), "model", "ok", "an endpoint"),
        (entry(binding={"provider_options": ["size"]}), "provider_options", "problem", "size"),
        (entry(supports_negative_prompt=True), "negative_prompt", "problem", "none"),
        (
            entry(sizes={"2K": {"16:9": "1280x720", "1:1": "1024x1024"}}),
            "sizes",
            "warning",
            "1280x720: newer models are said to take no fewer than 3686400",
        ),
        (entry(VIDEO, binding={"sizes": {"720p": {"16:9": "a b c"}}}), "sizes", "problem", "'a b c'"),
        (entry(VIDEO, aspect_ratios=["3:2"]), "aspect_ratios", "warning", "3:2"),
        (entry(VIDEO, references={"first_frame": 1, "reference_image": 2}), "references", "warning", "together"),
        (entry(VIDEO, references={"last_frame": 1}), "references", "warning", "without a first one"),
        (
            entry(VIDEO, options={"execution_expires_after": 3600}),
            "execution_expires_after",
            "warning",
            "has none of its own",
        ),
    ],
)
async def test_what_is_promised_and_cannot_be_is_found(
    fake: FakeArk, model: dict[str, Any], subject: str, level: str, text: str
) -> None:
    findings = await looked(fake, model)
    assert [each for each in findings if (each.subject, each.level) == (subject, level) and text in each.text], findings


@pytest.mark.parametrize(
    ("answer", "subject", "level", "remedy"),
    [
        ((401, error("AuthenticationError", "no")), "key", "problem", "key"),
        ((403, error("AccountOverdueError", "no")), "key", "problem", "Pay"),
        ((403, "<html></html>"), "key", "problem", "key"),
        ((429, error("SetLimitExceeded", "no")), "key", "warning", "limit"),
        ((429, "x"), "key", "warning", "limits"),
        ((404, error("ModelNotOpen", "no")), "connection", "problem", "Activate the model"),
        ((404, "<html></html>"), "connection", "problem", "/api/v3"),
        ((200, "<html></html>"), "connection", "problem", "/api/v3"),
        ((200, []), "connection", "problem", "/api/v3"),
        ((200, {"total": 0}), "connection", "problem", "/api/v3"),
    ],
    ids=str,
)
async def test_a_connection_that_is_not_good(fake: FakeArk, answer: Any, subject: str, level: str, remedy: str) -> None:
    fake.answers = [answer]
    first, *others = await looked(fake, entry())
    assert (first.subject, first.level) == (subject, level) and remedy in first.remedy
    assert not [finding for finding in others if finding.subject == "model"], "what is not known is not said"


async def test_where_no_models_are_listed_none_is_looked_up(fake: FakeArk) -> None:
    for models in (["x"], None):
        fake.models = models
        level = {finding.subject: finding.level for finding in await looked(fake, entry())}["model"]
        assert level == ("warning" if models else "ok")


async def test_nobody_there_is_found(fake: FakeArk) -> None:
    await fake.close()
    (finding,) = await looked(fake, entry())
    assert (finding.subject, finding.level) == ("connection", "problem")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (entry(options={"least_pixels": 3_686_401}), "least_pixels is 3686401, and 2K at 16:9 is 2560x1440"),
        (entry(options={"least_pixels": 10}, binding={"sizes": {"2K": {"1:1": "2x2"}}}), "least_pixels is 10"),
        (entry(options={"service_tier": "flex"}), "service_tier is not for image models"),
        (entry(binding={"sizes": {"2K": {"16:9": "2K", "1:1": "2K"}}}), "sizes: '2K' stands for several sizes"),
        (entry(VIDEO, options={"output_formats": ["png"]}), "output_formats is not for video models"),
        (entry(VIDEO, options={"audio_switch": False}, supports_sound=True), "audio_switch is off"),
        (entry(VIDEO, options={"service_tier": "flex"}), "service_tier is flex"),
        (
            entry(VIDEO, options={"service_tier": "flex", "execution_expires_after": 3600}),
            "service_tier is flex",
        ),
        (
            entry(VIDEO, options={"execution_expires_after": 7200}, deadline_seconds=7199),
            "execution_expires_after is 7200, and the model's deadline_seconds is 7199",
        ),
    ],
)
def test_a_binding_that_could_never_be_served(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"bindings\[0\](\.options)?\.{message}"):
        catalog_of(model)


def test_a_binding_that_can_be_served() -> None:
    catalog_of(entry(options={"least_pixels": 3_686_400}, binding={"sizes": {"2K": {"1:1": "2K"}}}))
    flex = {"service_tier": "flex", "execution_expires_after": 172_800}
    catalog_of(entry(VIDEO, options=flex, deadline_seconds=172_800))
    catalog_of(entry(VIDEO, options={"audio_switch": False}))


@pytest.mark.parametrize(
    "options",
    [
        {"execution_expires_after": 3599},
        {"execution_expires_after": 259_201},
        {"body": {"seed": 1}},
        {"service_tier": "fast"},
        {"output_formats": ["webp"]},
        {"n": 1},
    ],
)
def test_an_option_that_is_none(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"shop.toml: models\[0\]"):
        catalog_of(entry(VIDEO, options=options))


@pytest.mark.parametrize("settings", [{"key": None}, {"timeout_seconds": 0}, {"poll_seconds": 61}, {"callback": True}])
def test_a_setting_that_is_none(settings: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, TypeError), match=r"shop.toml: connections\[0\]|key"):
        catalog_of(**settings)
