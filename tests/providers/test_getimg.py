"""The kind ``getimg`` before the hosted API, as a strict stand-in plays it that its official client judges first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import getimg as official
import msgspec
import pytest
from getimg import AsyncGetimgAI
from getimg.types import BillingRetrieveBalanceResponse, ImageGenerateResponse, ModelListResponse
from getimg.types.videos import GenerationCreateResponse

from safelight.domain.catalog import Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.media import Reference
from safelight.domain.outcomes import (
    Accepted,
    Answer,
    Completed,
    Failed,
    FailureClass,
    Pending,
    RemoteFile,
    Unknown,
    Usage,
)
from safelight.domain.ports import Cancelable, Checkable, Findable, Hintable, Host, Pollable
from safelight.outbound.backend_api import Reply
from safelight.providers.getimg.contract import answer_of
from safelight.providers.getimg.provider import KIND, HostedProvider, Settings
from safelight.providers.noop import png
from safelight.providers.registry import KINDS
from tests.contract.strict import strictly
from tests.providers.getimg_orders import IMAGE, VIDEO, job, order
from tests.providers.hosted import KEY, WORDS, Hosted

KEY_NAME = "env:GETIMG_API_KEY"
PICTURE = Reference(role="first_frame", mime_type="image/png", data=png())


@pytest.fixture
async def hosted() -> AsyncIterator[Hosted]:
    server = await Hosted().open()
    yield server
    await server.close()


@pytest.fixture
async def provider(hosted: Hosted) -> AsyncIterator[HostedProvider]:
    opened = open_provider(hosted)
    yield opened
    await opened.close()


def open_provider(hosted: Hosted, key: str = KEY, **settings: Any) -> Any:
    given = {"base_url": hosted.base_url, "key": KEY_NAME, **settings}
    host = Host(data_dir=Path("/nonexistent"), render_processes=1, read_secret=lambda _: key)
    declared = read_catalog(
        {"connections": [{"name": "theirs", "kind": "getimg", **given}], "models": [entry()]},
        source="shop.toml",
        kinds=KINDS,
    )
    return KIND.open(declared.connections["theirs"].settings, host)


def entry(**more: Any) -> dict[str, Any]:
    """Our model that stands for their picture."""
    return {
        "id": "ours",
        "name": "Ours",
        "type": "image",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "aspect_ratios": ["1:1", "16:9"],
        "resolutions": ["1K", "2K"],
        "references": {"reference_image": 2},
        "sizes": {each: {"1:1": "64x64", "16:9": "64x64"} for each in ("1K", "2K")},
        "rates": [{"unit_price": "0.05"}],
        "bindings": [{"connection": "theirs", "model": "picture-1", "cost": {"1K": "0.03", "2K": "0.045"}}],
        **more,
    }


# The stand-in, judged by the official client.


async def test_the_stand_in_is_what_the_official_client_expects(hosted: Hosted) -> None:
    client = AsyncGetimgAI(base_url=hosted.base_url, api_key=KEY, max_retries=0)
    raw = await client.images.with_raw_response.generate(
        model="picture-1",
        prompt="A mountain",
        aspect_ratio="16:9",
        resolution="2K",
        output_format="png",
        images=[{"url": PICTURE.data_url()}],
    )
    strictly(ImageGenerateResponse, raw.http_response.content)
    created = await client.videos.generations.with_raw_response.create(
        model="clip-1",
        prompt="A mountain",
        duration=2,
        sound=False,
        images=[{"url": PICTURE.data_url(), "role": "first_frame"}],
    )
    strictly(GenerationCreateResponse, created.http_response.content)
    hosted.statuses = ["pending", "failed:generation_failed"]
    answers = [await client.videos.generations.retrieve("gen-2") for _ in range(3)]
    assert [answer.status for answer in answers] == ["pending", "failed", "completed"]
    models = await client.models.with_raw_response.list()
    strictly(ModelListResponse, models.http_response.content)
    assert (await client.models.retrieve("picture-1")).id == "picture-1"
    balance = await client.billing.with_raw_response.retrieve_balance()
    strictly(BillingRetrieveBalanceResponse, balance.http_response.content)
    await client.close()


async def test_the_stand_in_declines_as_the_official_client_expects(hosted: Hosted) -> None:
    client = AsyncGetimgAI(base_url=hosted.base_url, api_key=KEY, max_retries=0)
    for word, (status, _, _) in WORDS.items():
        if status == 200:
            continue
        with pytest.raises(official.APIStatusError) as declined:
            await client.images.generate(model="picture-1", prompt=f"{word} mountain")
        assert declined.value.status_code == status
    with pytest.raises(official.APIConnectionError):
        await client.images.generate(model="picture-1", prompt="lost mountain")
    with pytest.raises(official.BadRequestError):
        await client.images.generate(model="picture-1", prompt="a mountain", extra_body={"seed": 7})
    with pytest.raises(official.AuthenticationError):
        await client.with_options(api_key="sk_another").models.list()
    await client.close()


# The adapter.


def test_a_hosted_api_has_no_more_than_its_contract(provider: HostedProvider) -> None:
    assert isinstance(provider, Pollable)
    assert isinstance(provider, Checkable)
    assert not isinstance(provider, Findable | Cancelable | Hintable)


async def test_an_image_comes_in_the_answer(hosted: Hosted, provider: HostedProvider) -> None:
    reference = msgspec.structs.replace(PICTURE, role="reference_image")
    outcome = await provider.submit(order("a mountain", IMAGE, reference), job())
    assert hosted.sent == [
        {
            "model": "picture-1",
            "prompt": "a mountain",
            "aspect_ratio": "16:9",
            "resolution": "2K",
            "output_format": "png",
            "images": [{"url": PICTURE.data_url()}],
        }
    ]
    assert "idempotency-key" not in hosted.headers[0]
    usage = {"billable_unit": "image", "unit_price": 0.05, "quantity": 1, "total_cost": 0.0450000001}
    assert outcome == Completed(
        (RemoteFile(f"{hosted.base_url}/media/gen-1.png?sig=1", allow=(f"127.0.0.1:{hosted.port}",)),),
        Answer(
            status=200,
            request_id="hosted-1",
            words="generation gen-1",
            usage=Usage(raw=usage, images=1),
            cost_nanos=45_000_000,
        ),
    )


async def test_a_video_is_polled_and_its_address_is_fresh_each_time(hosted: Hosted, provider: HostedProvider) -> None:
    hosted.statuses = ["pending", "rendering_in_words_of_tomorrow"]
    outcome = await provider.submit(order("a mountain", VIDEO, PICTURE), job(VIDEO))
    assert hosted.sent[0] == {
        "model": "clip-1",
        "prompt": "a mountain",
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "duration": 2,
        "sound": False,
        "images": [{"url": PICTURE.data_url(), "role": "first_frame"}],
    }
    assert isinstance(outcome, Accepted)
    assert outcome.handle == {"id": "gen-1"}
    answers = [await provider.poll(outcome.handle, job(VIDEO)) for _ in range(4)]
    assert [type(answer) for answer in answers] == [Pending, Pending, Completed, Completed]
    first, second = answers[2:]
    assert isinstance(first, Completed)
    assert isinstance(second, Completed)
    assert first.media != second.media, "asked again, it tells another address"
    assert first.answer.cost_nanos == 125_000_000
    assert first.answer.usage is not None
    assert first.answer.usage.images is None


@pytest.mark.parametrize(
    ("word", "reason", "retry_after"),
    [
        ("refused", FailureClass.CONTENT_POLICY, None),
        ("broke", FailureClass.QUOTA, None),
        ("often", FailureClass.RATE_LIMITED, 7),
        ("badprompt", FailureClass.BAD_INPUT, None),
        ("badimage", FailureClass.BAD_INPUT, None),
        ("badratio", FailureClass.PERMANENT, None),
        ("text", FailureClass.BAD_INPUT, None),
        ("bare", FailureClass.AUTH, None),
        ("busy", FailureClass.TRANSIENT, 3),
    ],
)
async def test_what_declines_is_told_by_its_code_or_its_status(
    provider: HostedProvider, word: str, reason: FailureClass, retry_after: float | None
) -> None:
    for type_ in (IMAGE, VIDEO):
        outcome = await provider.submit(order(f"{word} mountain", type_), job(type_))
        assert isinstance(outcome, Failed), outcome
        assert (outcome.reason, outcome.retry_after_seconds) == (reason, retry_after)
        assert outcome.answer.status == WORDS[word][0]
        assert outcome.answer.words


@pytest.mark.parametrize("word", ["lost", "gateway", "odd", "outage200"])
async def test_an_order_without_a_clear_answer_may_have_been_taken(provider: HostedProvider, word: str) -> None:
    assert isinstance(await provider.submit(order(f"{word} mountain"), job()), Unknown)


@pytest.mark.parametrize("word", ["nothing", "nulls", "noaddress"])
async def test_no_file_in_a_success_is_how_it_refuses(provider: HostedProvider, word: str) -> None:
    outcome = await provider.submit(order(f"{word} mountain"), job())
    assert isinstance(outcome, Completed) and outcome.media == ()


@pytest.mark.parametrize("word", ["refusal200", "failed200"])
async def test_a_refusal_that_is_called_a_success_is_one(provider: HostedProvider, word: str) -> None:
    for type_ in (IMAGE, VIDEO):
        outcome = await provider.submit(order(f"{word} mountain", type_), job(type_))
        assert isinstance(outcome, Failed) and outcome.reason is FailureClass.CONTENT_POLICY


async def test_nobody_there_has_taken_nothing(hosted: Hosted, provider: HostedProvider) -> None:
    await hosted.close()
    outcome = await provider.submit(order("a mountain"), job())
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureClass.TRANSIENT


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("failed:content_policy_violation", FailureClass.CONTENT_POLICY),
        ("failed:invalid_parameter", FailureClass.BAD_INPUT),
        ("failed:generation_failed", FailureClass.PERMANENT),
        ("failed:canceled", FailureClass.CANCELED),
        ("failed:of_tomorrow", FailureClass.PERMANENT),
    ],
)
async def test_a_video_that_failed_is_told_by_its_code(
    hosted: Hosted, provider: HostedProvider, status: str, reason: FailureClass
) -> None:
    hosted.statuses = [status]
    outcome = await provider.poll({"id": "gen-1"}, job(VIDEO))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.words) == (reason, "It failed.")
    assert outcome.answer.code == status.partition(":")[2]
    assert outcome.answer.is_billed is None, "it does not say"


async def test_a_server_in_trouble_says_nothing_of_a_job(hosted: Hosted, provider: HostedProvider) -> None:
    hosted.statuses = [500, 401, 404, 404, "pending", 404, 404, 429, 404, 404, 404]
    answers = [await provider.poll({"id": "gen-1"}, job(VIDEO)) for _ in range(11)]
    kinds = [Unknown, Unknown, Unknown, Unknown, Pending, Unknown, Unknown, Pending, Unknown, Unknown, Failed]
    assert [type(answer) for answer in answers] == kinds, "gone is what is not there three times in a row"
    assert isinstance(answers[7], Pending)
    assert answers[7].poll_after_seconds == 9


async def test_what_the_hosted_api_cannot_do_is_not_dropped_in_silence(
    hosted: Hosted, provider: HostedProvider
) -> None:
    for spec in ({"seed": 7}, {"negative_prompt": "fog"}):
        outcome = await provider.submit(order("a mountain", **spec), job())
        assert isinstance(outcome, Failed)
        assert outcome.reason is FailureClass.PERMANENT
    assert hosted.sent == []


async def test_what_the_catalog_lets_through_stands_beside_the_contract(
    hosted: Hosted, provider: HostedProvider
) -> None:
    options = {"style": "ink", "model": "another"}
    await provider.submit(order("a mountain", provider_options=options), job())
    assert (hosted.sent[0]["style"], hosted.sent[0]["model"]) == ("ink", "picture-1")


@pytest.mark.parametrize(("word", "sent"), [("4K 3:2", ("4K", "3:2")), (None, ("2K", "16:9")), ("4K", None)])
async def test_a_size_in_its_own_words(
    hosted: Hosted, provider: HostedProvider, word: str | None, sent: tuple[str, str] | None
) -> None:
    outcome = await provider.submit(order("a mountain"), job(size_word=word))
    if sent is None:
        assert isinstance(outcome, Failed)
        assert (outcome.reason, hosted.sent) == (FailureClass.PERMANENT, [])
    else:
        assert (hosted.sent[0]["resolution"], hosted.sent[0]["aspect_ratio"]) == sent


async def test_references_by_link(hosted: Hosted) -> None:
    provider = open_provider(hosted, references="link")
    await provider.submit(order("a mountain", VIDEO, PICTURE), job(VIDEO))
    assert hosted.sent[0]["images"] == [{"url": "https://safelight.example/req-1/0/reference", "role": "first_frame"}]
    outcome = await provider.submit(order("badimage mountain", IMAGE, PICTURE), job())
    assert outcome.reason is FailureClass.PERMANENT, "that it cannot fetch here is none of the client's fault"
    await provider.close()


@pytest.mark.parametrize("more", [{"callbacks": True}, {"retention_seconds": 3600}, {"key": None}])
def test_a_catalog_that_asks_for_more_is_refused(hosted: Hosted, more: dict[str, Any]) -> None:
    given = {"base_url": hosted.base_url, "key": KEY_NAME, **more}
    given = {name: value for name, value in given.items() if value is not None}
    document = {"connections": [{"name": "theirs", "kind": "getimg", **given}], "models": [entry()]}
    with pytest.raises(ConfigurationError, match=r"shop.toml: connections\[0\]"):
        read_catalog(document, source="shop.toml", kinds=KINDS)


# A look at it.


def model(**more: Any) -> Model:
    connection = {"name": "theirs", "kind": "getimg", "base_url": "https://theirs.example", "key": KEY_NAME}
    return read_catalog({"connections": [connection], "models": [entry(**more)]}, source="-", kinds=KINDS).models[
        "ours"
    ]


async def look(provider: Any, looked_at: Model) -> dict[str, tuple[str, str]]:
    """Level and text of each finding, by subject."""
    findings = await provider.check(looked_at, looked_at.bindings[0])
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    assert KEY not in str(findings)
    return {finding.subject: (finding.level, finding.text) for finding in findings}


async def test_a_good_binding_is_found_good(provider: HostedProvider) -> None:
    found = await look(provider, model())
    assert {level for level, _ in found.values()} == {"ok"}
    assert list(found) == ["key", "model", "sizes", "price", "balance"]
    assert found["price"][1] == "a unit costs $0.03 to $0.045 there"


BINDING: dict[str, Any] = {"connection": "theirs", "model": "picture-1"}


@pytest.mark.parametrize(
    ("more", "subject", "level", "text"),
    [
        ({"bindings": [{**BINDING, "model": "picture-2"}]}, "model", "problem", "no image model 'picture-2'"),
        ({"aspect_ratios": ["1:1", "3:2"]}, "aspect_ratios", "problem", "3:2"),
        ({"references": {"reference_image": 3}}, "references", "problem", "takes 2 of role reference_image"),
        ({"supports_seed": True}, "seed", "problem", "takes none"),
        ({"supports_negative_prompt": True}, "negative_prompt", "problem", "takes none"),
        ({"rates": [{"unit_price": "0.04"}]}, "price", "warning", "2K is sold for $0.04 and costs $0.045"),
        ({"bindings": [{**BINDING, "cost": "0.03"}]}, "cost", "warning", "2K costs $0.03 a unit; it says $0.045"),
        ({"bindings": [{**BINDING, "sizes": {"1K": {"1:1": "8K 1:1"}}}]}, "resolutions", "problem", "8K"),
        ({"bindings": [{**BINDING, "provider_options": ["model"]}]}, "provider_options", "problem", "model is the"),
        ({"bindings": [{**BINDING, "sizes": {"1K": {"1:1": "8K"}}}]}, "sizes", "problem", "'8K' is no size"),
    ],
)
async def test_what_is_promised_and_not_there_is_found(
    provider: HostedProvider, more: dict[str, Any], subject: str, level: str, text: str
) -> None:
    if "aspect_ratios" in more:
        more = {**more, "sizes": {each: {"1:1": "64x64", "3:2": "64x64"} for each in ("1K", "2K")}}
    findings = await provider.check(looked_at := model(**more), looked_at.bindings[0])
    assert [each for each in findings if (each.subject, each.level) == (subject, level) and text in each.text], findings


async def test_an_account_without_money_is_found(hosted: Hosted, provider: HostedProvider) -> None:
    hosted.balance = "0.00"
    assert (await look(provider, model()))["balance"][0] == "warning"


async def test_a_base_url_with_v2_is_told_so(hosted: Hosted) -> None:
    deeper = open_provider(hosted, base_url=f"{hosted.base_url}/v2")
    looked_at = model()
    (finding,) = await deeper.check(looked_at, looked_at.bindings[0])
    assert (finding.level, finding.subject) == ("problem", "address") and "ends before /v2" in finding.remedy


async def test_a_wrong_key_and_nobody_there_are_found(hosted: Hosted, provider: HostedProvider) -> None:
    stranger = open_provider(hosted, key="sk_stranger")
    assert (await look(stranger, model()))["key"] == ("problem", "Invalid API key.")
    await hosted.close()
    assert (await look(provider, model()))["address"][0] == "problem"
    await stranger.close()


@pytest.mark.parametrize("quantity", ["Infinity", "NaN", "sNaN", "1E+30", "1E+999999", "-1", "0.5"])
def test_a_quantity_that_is_none_is_not_told(quantity: str) -> None:
    usage = {"total_cost": quantity, "billable_unit": "image", "quantity": quantity}
    reply = Reply(200, {}, msgspec.json.encode({"id": "a", "status": "completed", "usage": usage}))
    told = answer_of(reply).usage
    assert told is not None and told.images is None


@pytest.mark.parametrize("url", ["http://[::1", "//[/x"])
async def test_an_address_that_is_none_fails_clearly(url: str) -> None:
    api = HostedProvider(Settings(base_url="https://a.example", key=Secret("env:KEY")), "k")
    body = {"id": "a", "status": "completed", "data": [{"url": url}]}
    outcome = api._taken(Reply(200, {}, msgspec.json.encode(body)))
    assert isinstance(outcome, Failed) and outcome.detail == "the address of the file is none"
    assert outcome.answer.is_billed is True, "it was made"
