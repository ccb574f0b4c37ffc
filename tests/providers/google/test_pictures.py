"""Pictures by generateContent, of either platform."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from safelight.domain.outcomes import Completed, Failed, FailureClass, Unknown
from tests.providers.google.fake import FakeGoogle
from tests.providers.google.studio import IMAGE, PICTURE, bytes_of, job, order, provider_of

POLICY, PERMANENT, TRANSIENT = FailureClass.CONTENT_POLICY, FailureClass.PERMANENT, FailureClass.TRANSIENT
QUOTA, AUTH, LIMITED, BAD = FailureClass.QUOTA, FailureClass.AUTH, FailureClass.RATE_LIMITED, FailureClass.BAD_INPUT
ON_VERTEX = "/v1beta1/projects/studio-1/locations/europe-west4/publishers/google/models/gemini-image:generateContent"


@pytest.mark.parametrize(
    ("platform", "path"), [("gemini", "/v1/models/gemini-image:generateContent"), ("vertex", ON_VERTEX)]
)
async def test_a_picture_is_in_the_answer(fake: FakeGoogle, tmp_path: Path, platform: str, path: str) -> None:
    async with provider_of(fake, platform) as provider:
        outcome = await provider.submit(order(IMAGE, "reference_image", seed=7), job(tmp_path))
    assert bytes_of(outcome) == PICTURE, "no draft"
    (call,) = fake.orders()
    assert call.path == path
    data = base64.b64encode(PICTURE).decode()
    assert call.body == {
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "a red fox"}, {"inlineData": {"mimeType": "image/png", "data": data}}],
            }
        ],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
            "seed": 7,
        },
    }
    assert isinstance(outcome, Completed)
    said = outcome.answer
    assert (said.request_id, said.seed, said.usage and said.usage.input_tokens) == ("resp-1", 7, 9)
    assert said.usage is not None and said.usage.output_tokens == 1300
    assert said.usage.raw["candidatesTokensDetails"] == {"IMAGE": 1290}


@pytest.mark.parametrize(
    ("fault", "reason", "wait"),
    [
        ("policy", POLICY, None),
        ("guidelines", POLICY, None),
        ("bad_prompt", BAD, None),
        ("bad_seed", BAD, None),
        ("bad_argument", BAD, None),
        ("list", BAD, None),
        ("words", BAD, None),
        ("bad_ratio", PERMANENT, None),
        ("precondition", PERMANENT, None),
        ("org_policy", PERMANENT, None),
        ("suspended", AUTH, None),
        ("retired", PERMANENT, None),
        ("redirect", PERMANENT, None),
        ("bad_key", AUTH, None),
        ("unauthenticated", AUTH, None),
        ("denied", AUTH, None),
        ("no_billing", QUOTA, None),
        ("day", QUOTA, None),
        ("no_free_tier", QUOTA, None),
        ("no_credit", QUOTA, None),
        ("minute", LIMITED, 37.5),
        ("vertex_rate", LIMITED, 9),
        ("internal", TRANSIENT, None),
        ("overloaded", TRANSIENT, 3),
    ],
)
async def test_a_refusal_is_told_by_its_error(
    fake: FakeGoogle, tmp_path: Path, fault: str, reason: FailureClass, wait: float | None
) -> None:
    fake.behave(fault)
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(), job(tmp_path))
    assert isinstance(outcome, Failed), outcome
    assert (outcome.reason, outcome.retry_after_seconds) == (reason, wait)
    assert len(fake.orders()) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("blocked", POLICY),
        ("blocked_other", POLICY),
        ("blocked_tomorrow", POLICY),
        ("empty", POLICY),
        ("no_candidates", POLICY),
        ("words_alone", POLICY),
        ("draft_alone", POLICY),
        ("odd", POLICY),
        ("SAFETY", POLICY),
        ("RECITATION", POLICY),
        ("BLOCKLIST", POLICY),
        ("PROHIBITED_CONTENT", POLICY),
        ("SPII", POLICY),
        ("IMAGE_SAFETY", POLICY),
        ("IMAGE_PROHIBITED_CONTENT", POLICY),
        ("IMAGE_RECITATION", POLICY),
        ("ESCALATION", POLICY),
        ("MODEL_ARMOR", POLICY),
        ("VIDEO_SAFETY_OF_TOMORROW", POLICY),
        ("LANGUAGE", BAD),
        ("error_in_200", BAD),
        ("MAX_TOKENS", PERMANENT),
        ("MALFORMED_FUNCTION_CALL", PERMANENT),
        ("OF_TOMORROW", PERMANENT),
        ("bad_base64", PERMANENT),
        ("PUP_LIMITED_DISABLED", AUTH),
        ("NO_IMAGE", TRANSIENT),
        ("IMAGE_OTHER", TRANSIENT),
        ("OTHER", TRANSIENT),
        ("MALFORMED_RESPONSE", TRANSIENT),
        ("CONTINUATION", TRANSIENT),
    ],
)
async def test_200_without_a_picture_says_why(
    fake: FakeGoogle, tmp_path: Path, answer: str, reason: FailureClass
) -> None:
    fake.behave(answer, answer)
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(), job(tmp_path))
        again = await provider.submit(order(), job(tmp_path, id_="req-1.1"))
    assert isinstance(outcome, Failed) and outcome.reason is reason, outcome
    assert isinstance(again, Failed)
    assert again.reason is (PERMANENT if reason is TRANSIENT else reason), "each try may be billed: once more"


async def test_what_a_refusal_used_is_on_record(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.behave("blocked")
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(), job(tmp_path))
    assert isinstance(outcome, Failed) and outcome.answer.usage is not None
    assert (outcome.answer.usage.input_tokens, outcome.answer.code) == (9, "PROHIBITED_CONTENT")


@pytest.mark.parametrize("fault", ["drop", "late", "page", "page_in_200", "array"])
async def test_an_order_without_a_clear_answer_may_have_been_made(fake: FakeGoogle, tmp_path: Path, fault: str) -> None:
    fake.behave(fault)
    async with provider_of(fake) as provider:
        assert isinstance(await provider.submit(order(), job(tmp_path)), Unknown)
    assert len(fake.orders()) == 1, "never a second"


async def test_nobody_there_has_made_nothing(fake: FakeGoogle, tmp_path: Path) -> None:
    async with provider_of(fake, base_url="http://127.0.0.1:9") as provider:
        outcome = await provider.submit(order(), job(tmp_path))
    assert isinstance(outcome, Failed) and outcome.reason is TRANSIENT


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        (None, {"aspectRatio": "16:9", "imageSize": "2K"}),
        ("4K", {"aspectRatio": "16:9", "imageSize": "4K"}),
        ("1K 3:2", {"aspectRatio": "3:2", "imageSize": "1K"}),
        ("auto", {"aspectRatio": "16:9"}),
        ("auto auto", None),
    ],
)
async def test_a_size_in_its_own_words(
    fake: FakeGoogle, tmp_path: Path, word: str | None, shape: dict[str, str] | None
) -> None:
    async with provider_of(fake) as provider:
        await provider.submit(order(), job(tmp_path, size_word=word))
    assert fake.orders()[-1].body["generationConfig"].get("imageConfig") == shape


@pytest.mark.parametrize(
    ("spec", "facts", "reason"),
    [
        ({"negative_prompt": "fog"}, {}, PERMANENT),
        ({}, {"size_word": "2K 16:9 more"}, PERMANENT),
        ({}, {"options": {"api": "veo"}}, PERMANENT),
        ({}, {"options": {"api": "interactions", "storage_uri": "gs://a/b"}}, PERMANENT),
        ({"provider_options": {"seed": 3}}, {}, BAD),
        ({"provider_options": {"candidateCount": 8}}, {}, BAD),
        ({"provider_options": {"imageConfig": {"imageSize": "4K"}}}, {}, BAD),
        ({"provider_options": {"tools": [{"googleSearch": {}}]}}, {}, BAD),
    ],
)
async def test_what_it_cannot_be_told_is_not_ordered(
    fake: FakeGoogle, tmp_path: Path, spec: dict[str, Any], facts: dict[str, Any], reason: FailureClass
) -> None:
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(**spec), job(tmp_path, **facts))
    assert isinstance(outcome, Failed) and outcome.reason is reason and outcome.detail
    assert fake.calls == []


async def test_options_of_a_request_and_of_a_binding(fake: FakeGoogle, tmp_path: Path) -> None:
    body = {"generationConfig": {"temperature": 0.1, "topP": 0.9}, "labels": {"a": "b"}}
    options = {"temperature": 0.7, "safetySettings": []}
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(provider_options=options), job(tmp_path, options={"body": body}))
    assert isinstance(outcome, Completed)
    sent = fake.orders()[-1].body
    assert (sent["generationConfig"]["temperature"], sent["generationConfig"]["topP"]) == (0.7, 0.9)
    assert (sent["labels"], sent["safetySettings"]) == ({"a": "b"}, [])


async def test_a_long_picture_goes_to_disk(fake: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = PICTURE + bytes(300_000)
    monkeypatch.setattr("tests.providers.google.fake.png", lambda: large)
    async with provider_of(fake) as provider:
        assert bytes_of(await provider.submit(order(), job(tmp_path))) == large
    assert len(list(tmp_path.iterdir())) == 1
