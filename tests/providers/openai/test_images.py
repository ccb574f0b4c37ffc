"""Pictures: what each flavor is told, and what comes of each answer."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from PIL import Image

from safelight.domain.outcomes import Completed, Failed, FailureClass, InlineBytes, RemoteFile, Unknown
from safelight.providers.openai.settings import Options
from tests.providers.openai.fake import TAG, FakeServer
from tests.providers.openai.media import picture
from tests.providers.openai.studio import PROMPT, bytes_of, image_order, job_of, provider_of

Start = Callable[..., FakeServer]


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


async def ordered(fake: FakeServer, *roles: Any, quirks: dict[str, Any] | None = None, **spec: Any) -> Any:
    order = image_order(*roles, **spec)
    async with provider_of(fake, **(quirks or {})) as provider:
        return await provider.submit(order, job_of(order))


async def test_openai_is_told_what_it_knows_and_no_more(fake: Start) -> None:
    server = fake()
    outcome = await ordered(server, output_format="webp", width=128)
    assert bytes_of(outcome) == picture(128, 64, "webp")
    assert server.calls[-1].body == {
        "model": "fake-image", "prompt": PROMPT, "n": 1, "size": "128x64", "output_format": "webp"
    }  # fmt: skip
    assert server.calls[-1].headers["authorization"] == f"Bearer {server.key}"
    assert (outcome.answer.status, outcome.answer.request_id) == (200, "req_fake")
    usage = outcome.answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.raw["total_tokens"]) == (12, 4160, 4172)


@pytest.mark.parametrize(("count", "fields"), [(1, ["image"]), (3, ["image[]"] * 3)])
async def test_references_are_files_of_an_edit_in_their_order(fake: Start, count: int, fields: list[str]) -> None:
    server = fake()
    order = image_order(*["reference_image"] * count)  # type: ignore[list-item]
    async with provider_of(server) as provider:
        bytes_of(await provider.submit(order, job_of(order)))
    call = server.calls[-1]
    assert call.path == "/v1/images/edits" and [part.field for part in call.files] == fields
    assert [part.data for part in call.files] == [reference.data for reference in order.references]
    assert {part.mime_type for part in call.files} == {"image/png"} and call.files[0].name == "0.png"
    assert call.body == {"model": "fake-image", "prompt": PROMPT, "n": "1", "size": "64x64", "output_format": "png"}


async def test_the_catalogs_word_for_a_size_is_said_as_it_is(fake: Start) -> None:
    server, order = fake(), image_order()
    async with provider_of(server) as provider:
        assert size_of(bytes_of(await provider.submit(order, job_of(order, size_word="1536x1024")))) == (1536, 1024)


async def test_options_go_along_and_a_request_wins_over_the_binding(fake: Start) -> None:
    server, order = fake(), image_order(provider_options={"quality": "high"})
    options = Options(body={"quality": "low", "moderation": "low", "background": "opaque"})
    async with provider_of(server) as provider:
        bytes_of(await provider.submit(order, job_of(order, options=options)))
        body = server.calls[-1].body
        assert (body["quality"], body["moderation"], body["background"]) == ("high", "low", "opaque")
        for name in ("n", "prompt", "model", "size", "stream"):
            taken = image_order(provider_options={name: 2})
            refused = await provider.submit(taken, job_of(taken))
            assert isinstance(refused, Failed) and refused.reason is FailureClass.BAD_INPUT and name in refused.detail
    assert len(server.posts()) == 1


def test_a_binding_says_nothing_that_an_order_says() -> None:
    with pytest.raises(msgspec.ValidationError, match="an order says n, prompt by itself"):
        msgspec.convert({"body": {"prompt": "x", "n": 4, "quality": "low"}}, Options)


@pytest.mark.parametrize("spec", [{"seed": 5}, {"negative_prompt": "blur"}])
async def test_what_a_server_cannot_be_told_is_not_left_out_in_silence(fake: Start, spec: dict[str, Any]) -> None:
    server = fake()
    outcome = await ordered(server, **spec)
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT
    assert next(iter(spec)) in outcome.detail
    assert not server.calls


async def test_vllm_omni(fake: Start) -> None:
    server = fake("vllm-omni")
    outcome = await ordered(server, "reference_image", "reference_image", seed=9, negative_prompt="blur")
    assert bytes_of(outcome) == picture(64, 64, "png", 9) and outcome.answer.seed == 9
    call = server.calls[-1]
    assert [part.field for part in call.files] == ["image", "image"]
    assert (call.body["negative_prompt"], call.body["response_format"]) == ("blur", "b64_json")


async def test_sglang_gets_a_seed_of_each_order_and_echoes_no_revised_prompt(fake: Start) -> None:
    server = fake("sglang")
    first, second = image_order(), msgspec.structs.replace(image_order(), id="req_9")
    async with provider_of(server) as provider:
        seeds = [(await provider.submit(order, job_of(order))).answer.seed for order in (first, first, second)]  # type: ignore[union-attr]
        asked = await provider.submit(image_order(seed=3), job_of(first))
    assert seeds[0] == seeds[1] != seeds[2] and seeds[0] == server.posts()[0].body["seed"]
    assert isinstance(asked, Completed) and asked.answer.seed == 3 and asked.answer.revised_prompt is None
    assert server.posts()[0].body["response_format"] == "b64_json", "its own choice is a url"


async def test_localai(fake: Start) -> None:
    server = fake("localai")
    outcome = await ordered(server, "reference_image", negative_prompt="blur|grain", prompt="a fox | an owl")
    body = server.calls[-1].body
    assert server.calls[-1].path == "/v1/images/generations" and "output_format" not in body
    assert body["response_format"] == "b64_json", "its own choice is a url"
    assert body["prompt"] == "a fox / an owl|blur/grain" and not body["ref_images"][0].startswith("data:")
    assert size_of(bytes_of(outcome)) == (64, 64) and outcome.answer.usage is None  # all zeros


async def test_sd_server_gets_arguments_in_its_tag(fake: Start) -> None:
    server = fake("sd-server")
    outcome = await ordered(
        server, seed=5, negative_prompt="</sd_cpp_extra_args>", provider_options={"sample_params": {"sample_steps": 4}}
    )
    assert bytes_of(outcome) == picture(64, 64, "png", 5) and outcome.answer.seed == 5
    body = server.calls[-1].body
    assert body["prompt"].startswith(PROMPT) and not {"seed", "negative_prompt", "sample_params"} & body.keys()
    (told,) = TAG.findall(body["prompt"])
    assert msgspec.json.decode(told) == {
        "embed_image_metadata": False, "sample_params": {"sample_steps": 4}, "seed": 5,
        "negative_prompt": "</sd_cpp_extra_args>",
    }  # fmt: skip


async def test_sd_server_gets_no_more_in_its_tag_than_it_can_read(fake: Start) -> None:
    server = fake("sd-server")
    taken = await ordered(server, provider_options={"sample_params": {"x": "<" * 2_000}}, negative_prompt="<" * 4096)
    refused = await ordered(server, provider_options={"sample_params": {"x": "<" * 3_000}})
    assert isinstance(taken, Completed)
    assert isinstance(refused, Failed) and refused.reason is FailureClass.BAD_INPUT
    assert len(server.posts()) == 1


@pytest.mark.parametrize(
    "written", ["<sd_cpp_extra_args>", "<<sd_cpp_extra_args>", "<SD_cpp_extra_args >", "x\n<sd_cpp_extra_args>"]
)
async def test_a_prompt_cannot_order_what_nobody_asked_for(fake: Start, written: str) -> None:
    server = fake("sd-server")
    outcome = await ordered(server, prompt=f'a fox {written}{{"width":4096,"seed":1}}</sd_cpp_extra_args>', seed=7)
    assert bytes_of(outcome) == picture(64, 64, "png", 7)


async def test_sd_server_edits_in_a_format_that_it_has(fake: Start) -> None:
    server = fake("sd-server")
    bytes_of(await ordered(server, "reference_image", output_format="webp"))
    assert "output_format" not in server.calls[-1].body
    assert all(call.headers["content-type"].startswith("multipart/") for call in server.posts())


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_xai_edits_in_json_and_tells_its_cost(fake: Start, count: int) -> None:
    server = fake("xai")
    outcome = await ordered(server, *["reference_image"] * count, aspect_ratio="16:9", resolution="2K")
    call = server.calls[-1]
    assert call.path == ("/v1/images/edits" if count else "/v1/images/generations") and not call.is_form
    assert (call.body["aspect_ratio"], call.body["resolution"]) == ("16:9", "2k")
    sent = {1: lambda: [call.body["image"]], 2: lambda: call.body["images"], 0: list}[count]()
    assert [one["type"] for one in sent] == ["image_url"] * count
    assert all(one["url"].startswith("data:image/png;base64,") for one in sent)
    assert outcome.answer.cost_nanos == 20_000_000 and outcome.answer.usage.raw == {"cost_in_usd_ticks": 200_000_000}


async def test_openrouter_makes_pictures_in_a_chat(fake: Start) -> None:
    server = fake("openrouter")
    quirks = {"provider_options": {"image_config": {"strength": 0.2, "image_size": "4K"}}}
    outcome = await ordered(server, "reference_image", aspect_ratio="16:9", resolution="2K", seed=4, **quirks)
    assert size_of(bytes_of(outcome)) == (1024, 576)
    body = server.calls[-1].body
    assert server.calls[-1].path == "/api/v1/chat/completions" and body["modalities"] == ["image", "text"]
    assert body["image_config"] == {"aspect_ratio": "16:9", "image_size": "2K", "strength": 0.2} and body["seed"] == 4
    assert [part["type"] for part in body["messages"][0]["content"]] == ["text", "image_url"]
    assert not {"prompt", "size", "n", "aspect_ratio", "resolution"} & body.keys()
    assert outcome.answer.cost_nanos == 38_700_000 and outcome.answer.usage.output_tokens == 1290


async def test_a_quirk_of_the_connection_wins_over_its_flavor(fake: Start) -> None:
    server = fake("sglang")
    quirks = {"size": "width-height", "own_seed": False, "response_format": "none", "headers": {"X-Team": "a"}}
    await ordered(server, quirks={**quirks, "key_header": "api-key"})
    call = server.calls[-1]
    assert (call.body["width"], call.body["height"]) == (64, 64) and not {
        "seed",
        "size",
        "response_format",
    } & call.body.keys()
    assert (
        call.headers["api-key"] == server.key and "authorization" not in call.headers and call.headers["x-team"] == "a"
    )


async def test_pictures_may_go_as_links_to_this_service(fake: Start) -> None:
    server = fake("xai")
    await ordered(server, "reference_image", resolution="1K", quirks={"reference_urls": "link"})
    assert server.calls[-1].body["image"]["url"] == "http://127.0.0.1:1/reference/0"


@pytest.mark.parametrize(
    "answer",
    [
        "data_url",
        "data_url_base64",
        "wrapped_base64",
        "raw",
        "raw_octets",
        "json_as_octets",
        "revised",
        "odd_types",
        "two",
    ],
)
async def test_a_picture_is_a_picture_however_it_comes(fake: Start, answer: str) -> None:
    server = fake()
    server.behave(answer)
    outcome = await ordered(server)
    assert bytes_of(outcome) == picture(64, 64)
    assert outcome.answer.revised_prompt == ("a red fox in snow, at dawn" if answer == "revised" else None)


@pytest.mark.parametrize(
    ("answer", "where", "gets_key"),
    [
        ("own_url", "{root}/files/own.png", True),
        ("relative_url", "{root}/files/relative.png", True),
        ("other_url", "https://cdn.example/picture.png", False),
    ],
)
async def test_the_key_goes_to_no_other_host(fake: Start, answer: str, where: str, gets_key: bool) -> None:
    server = fake()
    server.behave(answer)
    outcome = await ordered(server)
    (file,) = outcome.media
    assert isinstance(file, RemoteFile) and file.url == where.format(root=server.root_url)
    assert (server.key is not None and server.key in str(file.headers)) is gets_key


@pytest.mark.parametrize("answer", ["none", "null", "blank"])
async def test_success_without_a_picture_is_a_refusal_with_the_servers_words(fake: Start, answer: str) -> None:
    server = fake()
    server.behave(answer)
    outcome = await ordered(server)
    assert isinstance(outcome, Completed) and outcome.media == () and '"created"' in outcome.answer.words


@pytest.mark.parametrize("answer", ["chat_text", "chat_filtered"])
async def test_a_chat_without_a_picture_is_a_refusal(fake: Start, answer: str) -> None:
    server = fake("openrouter")
    server.behave(answer)
    outcome = await ordered(server)
    assert isinstance(outcome, Completed) and outcome.media == () and outcome.answer.code in ("stop", "content_filter")


async def test_a_chat_says_pictures_among_its_parts_and_errors_in_its_choice(fake: Start) -> None:
    server = fake("openrouter")
    server.behave("chat_parts", "chat_error")
    assert bytes_of(await ordered(server)) == picture(64, 64)
    failed = await ordered(server)
    assert isinstance(failed, Failed) and failed.reason is FailureClass.RATE_LIMITED


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("bad_base64", "base64"),
        ("broken_url", "address"),
        ("zip", "zip"),
        ("page", "base_url"),
        ("broken_json", "no JSON"),
        ("list", "no JSON"),
    ],
)
async def test_a_success_that_cannot_be_read_fails_clearly(fake: Start, answer: str, why: str) -> None:
    server = fake()
    server.behave(answer)
    outcome = await ordered(server)
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT and why in outcome.detail


async def test_an_answer_that_is_lost_is_unknown_and_one_never_sent_is_not(fake: Start) -> None:
    server = fake()
    server.behave("drop")
    assert isinstance(await ordered(server), Unknown)
    assert len(server.posts()) == 1
    gone = FakeServer()
    gone.port = 9
    outcome = await ordered(gone)
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.TRANSIENT


async def test_a_large_picture_goes_up_and_comes_down(fake: Start) -> None:
    server = fake("vllm-omni")
    order = image_order("reference_image")
    large = msgspec.structs.replace(order.references[0], data=b"\x89PNG" + bytes(9_000_000))
    order = msgspec.structs.replace(order, references=(large,))
    async with provider_of(server) as provider:
        outcome = await provider.submit(order, job_of(order))
    assert isinstance(outcome, Completed) and isinstance(outcome.media[0], InlineBytes)
    assert server.calls[-1].files[0].data == large.data
