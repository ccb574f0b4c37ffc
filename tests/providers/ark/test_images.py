"""Pictures: what the vendor is told, what an answer brings, and how an order may come to nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.outcomes import (
    Completed,
    Failed,
    FailureClass,
    InlineBytes,
    LocalFile,
    RemoteFile,
    Unknown,
    Usage,
)
from safelight.domain.ports import (
    BatchPollable,
    Cancelable,
    Checkable,
    Findable,
    Hintable,
    Pollable,
    Repeatable,
)
from safelight.outbound.backend_api import Reply
from safelight.providers.ark.answers import image_of, state_of
from safelight.providers.ark.settings import Options
from safelight.providers.noop import png
from tests.providers.ark.fake import FakeArk
from tests.providers.ark.studio import IMAGE_MODEL, image_order, job_of, provider_of, references

AUTH, QUOTA, RATE = FailureClass.AUTH, FailureClass.QUOTA, FailureClass.RATE_LIMITED
POLICY, BAD, GONE = FailureClass.CONTENT_POLICY, FailureClass.BAD_INPUT, FailureClass.PERMANENT
LATER = FailureClass.TRANSIENT


async def submitted(fake: FakeArk, order: Any = None, options: Options | None = None, **settings: Any) -> Any:
    more = {name: settings.pop(name) for name in ("size_word", "make_workdir") if name in settings}
    async with provider_of(fake, **settings) as provider:
        return await provider.submit(order or image_order(), job_of(options=options, **more))


async def test_a_picture_comes_in_the_answer(fake: FakeArk) -> None:
    outcome = await submitted(fake, image_order(seed=7))
    assert fake.orders == [
        {
            "model": IMAGE_MODEL,
            "prompt": "a red fox",
            "size": "2560x1440",
            "response_format": "b64_json",
            "watermark": False,
            "seed": 7,
        }
    ]
    assert fake.headers[0]["x-client-request-id"] == "req-1"
    assert isinstance(outcome, Completed) and outcome.media == (InlineBytes(png()),)
    assert (outcome.answer.seed, outcome.answer.request_id, outcome.answer.status) == (7, "ark-1", 200)
    counted = {"generated_images": 1, "input_images": 0, "output_tokens": 16280, "total_tokens": 16280}
    assert outcome.answer.usage == Usage(
        raw={**counted, "tool_usage": {"web_search": 0}}, images=1, output_tokens=16280
    ), "numbers alone"


async def test_no_null_is_sent(fake: FakeArk) -> None:
    seen: list[bytes] = []
    async with provider_of(fake) as provider:
        call = provider._api.call

        async def watched(*given: Any, **more: Any) -> Any:
            seen.append(msgspec.json.encode(more["json"]))
            return await call(*given, **more)

        provider._api.call = watched
        await provider.submit(image_order(), job_of())
    assert b"null" not in seen[0]


async def test_a_large_picture_goes_to_disk_as_it_comes(fake: FakeArk, tmp_path: Path) -> None:
    fake.picture = png() + os.urandom(300_000)
    outcome = await submitted(fake, make_workdir=lambda: tmp_path)
    assert isinstance(outcome, Completed)
    (file,) = outcome.media
    assert isinstance(file, LocalFile) and file.path.read_bytes() == fake.picture


async def test_an_address_is_asked_for_and_gets_no_key(fake: FakeArk) -> None:
    outcome = await submitted(fake, response_format="url")
    assert fake.orders[0]["response_format"] == "url" and isinstance(outcome, Completed)
    (file,) = outcome.media
    assert isinstance(file, RemoteFile) and file.url.endswith("/media/1.png?sig=1") and file.headers == {}


async def test_what_a_binding_says_is_told(fake: FakeArk) -> None:
    options = Options(
        watermark=True,
        sequential_image_generation="disabled",
        output_formats=("png",),
        body={"guidance_scale": 3.5, "optimize_prompt_options": {"mode": "fast"}},
    )
    order = image_order(2, provider_options={"guidance_scale": 5.0})
    await submitted(fake, order, options, size_word="2K")
    told = fake.orders[0]
    assert (told["watermark"], told["sequential_image_generation"], told["size"]) == (True, "disabled", "2K")
    assert (told["output_format"], told["guidance_scale"]) == ("png", 5.0), "a request's own wins"
    assert told["image"] == [references("reference_image")[0].data_url()] * 2
    await submitted(fake, image_order(1, output_format="webp"), options)
    assert fake.orders[1]["image"].startswith("data:image/png;base64,") and "output_format" not in fake.orders[1]


async def test_references_by_link(fake: FakeArk) -> None:
    await submitted(fake, image_order(1), references="link")
    assert fake.orders[0]["image"] == "https://safelight.example/req-1/0/reference"


@pytest.mark.parametrize(
    ("spec", "reason", "word"),
    [
        ({"provider_options": {"size": "4K"}}, BAD, "size"),
        ({"provider_options": {"sequential_image_generation": "auto"}}, BAD, "sequential"),
        ({"provider_options": {"watermark": True}}, BAD, "watermark"),
        ({"negative_prompt": "fog"}, GONE, "negative prompt"),
    ],
)
async def test_what_cannot_be_said_is_not_ordered(fake: FakeArk, spec: Any, reason: FailureClass, word: str) -> None:
    outcome = await submitted(fake, image_order(**spec))
    assert isinstance(outcome, Failed) and outcome.reason is reason and word in outcome.detail
    assert fake.orders == []


REFUSALS = {
    **dict.fromkeys(
        ("policy_text", "policy_face", "policy_old", "policy_risk", "policy_output", "policy_in_words"), POLICY
    ),
    **dict.fromkeys(("policy_item", "policy_in_200"), POLICY),
    **dict.fromkeys(("rate_endpoint", "rate_model", "overloaded", "loading", "burst", "unheard_of_429"), RATE),
    "queue_is_full": RATE,
    **dict.fromkeys(("quota", "set_limit", "overdue", "service_overdue"), QUOTA),
    **dict.fromkeys(("denied", "auth", "wrapped"), AUTH),
    **dict.fromkeys(("not_open", "service_not_open", "no_endpoint", "endpoint_gone"), GONE),
    **dict.fromkeys(("bad_size", "bad_suffix", "unsupported"), GONE),
    "missing": GONE,
    **dict.fromkeys(("bad_prompt", "bad_content", "bad_something", "in_words"), BAD),
    **dict.fromkeys(("scan_broke", "broken"), LATER),
    **dict.fromkeys(("bad_base64", "bad_url"), GONE),
}


@pytest.mark.parametrize("fault", REFUSALS)
async def test_why_it_came_to_nothing(fake: FakeArk, fault: str) -> None:
    fake.next = fault
    outcome = await submitted(fake)
    assert isinstance(outcome, Failed) and outcome.reason is REFUSALS[fault], outcome
    assert len(fake.orders) == 1
    if fault == "rate_endpoint":
        assert outcome.retry_after_seconds == 7
    if fault in ("not_open", "service_not_open"):
        assert "Activate the model" in outcome.detail
    assert outcome.answer.is_billed is (True if fault.startswith("bad_base64") or fault == "bad_url" else None)


@pytest.mark.parametrize(
    "fault",
    [
        *("drop", "gateway", "timed_out", "timed_out_500", "timed_out_200"),
        *("conflict", "bare_500", "page", "empty", "list"),
    ],
)
async def test_what_leaves_it_open_is_unknown(fake: FakeArk, fault: str) -> None:
    fake.next = fault
    assert isinstance(await submitted(fake), Unknown)
    assert len(fake.orders) == 1


@pytest.mark.parametrize("fault", ["nothing", "nulls", "lost_picture"])
async def test_no_picture_and_no_error_is_a_refusal(fake: FakeArk, fault: str) -> None:
    fake.next = fault
    outcome = await submitted(fake)
    assert isinstance(outcome, Completed) and outcome.media == ()
    assert outcome.answer.is_billed is (True if fault == "lost_picture" else None)


async def test_a_picture_that_cannot_be_fetched_here_is_not_the_clients_fault(fake: FakeArk) -> None:
    fake.next = "bad_content"
    outcome = await submitted(fake, image_order(1), references="link")
    assert isinstance(outcome, Failed) and outcome.reason is GONE


async def test_an_option_that_the_client_chose_is_the_clients(fake: FakeArk) -> None:
    fake.next = "bad_suffix"
    outcome = await submitted(fake, image_order(provider_options={"tools": []}))
    assert isinstance(outcome, Failed) and outcome.reason is GONE
    fake.next = None
    outcome = await submitted(fake, image_order(provider_options={"strength": 2}))
    assert isinstance(outcome, Failed) and outcome.reason is BAD, "the parameter `strength` is not known"


async def test_nobody_there_has_taken_nothing(fake: FakeArk) -> None:
    await fake.close()
    outcome = await submitted(fake)
    assert isinstance(outcome, Failed) and outcome.reason is LATER


async def test_the_first_picture_counts_and_errors_beside_it_do_not(fake: FakeArk) -> None:
    items = [{"code": "InternalServiceError", "message": "no"}, {"b64_json": "aGFsbG8="}, {"url": "http://a.example/b"}]
    reply = Reply(200, {}, msgspec.json.encode({"data": items}))
    outcome = image_of(reply, RemoteFile, frozenset(), seed=None, fetches_images=False)
    assert isinstance(outcome, Completed) and outcome.media == (InlineBytes(b"hallo"),)


def test_an_answer_of_a_million_items_is_not_read_to_its_end() -> None:
    items: list[dict[str, Any]] = [{}] * 100
    found = {"data": [*items[1:], {"url": "https://a.example/p.png"}, *items]}
    beyond = {"data": [*items, {"url": "https://a.example/p.png"}]}
    for document, count in ((found, 1), (beyond, 0)):
        reply = Reply(200, {}, json.dumps(document).encode())
        outcome = image_of(reply, _address, frozenset(), seed=None, fetches_images=False)
        assert isinstance(outcome, Completed) and len(outcome.media) == count


async def test_a_refusal_counts_before_another_error() -> None:
    items = [{"code": "InternalServiceError"}, {"code": "OutputImageSensitiveContentDetected"}, {}, None]
    reply = Reply(200, {}, msgspec.json.encode({"data": items, "error": {"code": "", "message": None}}))
    outcome = image_of(reply, RemoteFile, frozenset(), seed=None, fetches_images=False)
    assert isinstance(outcome, Failed) and outcome.reason is POLICY


async def test_it_says_what_it_can(fake: FakeArk) -> None:
    async with provider_of(fake) as plain, provider_of(fake, find_by_safety_identifier=True) as finding:
        for provider in (plain, finding):
            for capability in (Pollable, BatchPollable, Cancelable, Checkable, Hintable):
                assert isinstance(provider, capability)
            assert not isinstance(provider, Repeatable)
        assert not isinstance(plain, Findable) and isinstance(finding, Findable)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**400, 10**401)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["succeeded", "failed", "queued", "http://[::1", "cgt-1", "data:,x", "aGFsbG8="])
)
TEXTS = ["id", "status", "code", "message", "param", "url", "b64_json", "video_url", "revised_prompt"]
OTHERS = ["error", "data", "content", "usage", "generated_images", "completion_tokens", "tool_usage", "seed"]
KEYS = st.sampled_from([*TEXTS, *OTHERS, "items", "ResponseMetadata"])
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=12
)


@given(DOCUMENTS)
def test_no_answer_breaks_it(document: Any) -> None:
    reply = Reply(200, {}, json.dumps(document).encode())
    image_of(reply, _address, frozenset(), seed=None, fetches_images=False)
    read = reply.json()
    if isinstance(read, dict):
        state_of(read, reply, _address, poll_seconds=5, fetches_images=False)


def _address(url: str) -> RemoteFile:
    if "[" in url:
        raise ValueError("no address")
    return RemoteFile(url)
