"""The fake is judged by the vendor's own client first, so that it is not merely our idea of the vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import openai
import pytest

from tests.providers.openai.fake import FakeServer, serve
from tests.providers.openai.media import clip, picture


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serve(FakeServer()) as started:
        yield started


@pytest.fixture
async def client(fake: FakeServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=fake.base_url, api_key=fake.key, max_retries=0) as made:
        yield made


async def test_it_generates(client: openai.AsyncOpenAI) -> None:
    answer = await client.images.generate(prompt="a fox", model="fake-image", size="1024x1024", output_format="webp")
    assert answer.data and answer.data[0].b64_json and answer.usage and answer.usage.output_tokens == 4160


@pytest.mark.parametrize("count", [1, 3])
async def test_it_edits_one_file_and_several(client: openai.AsyncOpenAI, fake: FakeServer, count: int) -> None:
    files = [(f"{at}.png", picture(16, 16, seed=at), "image/png") for at in range(count)]
    answer = await client.images.edit(image=files[0] if count == 1 else files, prompt="a fox", model="fake-image")
    assert answer.data and answer.data[0].b64_json
    assert [part.field for part in fake.calls[-1].files] == (["image"] if count == 1 else ["image[]"] * 3)
    assert fake.calls[-1].files[0].data == files[0][1]


@pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
async def test_it_makes_a_video_that_is_asked_about_fetched_and_deleted(
    client: openai.AsyncOpenAI, fake: FakeServer
) -> None:
    video = await client.videos.create(prompt="a fox", seconds="4", size="720x1280", input_reference=picture(16, 16))
    assert fake.calls[-1].is_form and fake.calls[-1].files[0].field == "input_reference"
    seen = [(await client.videos.retrieve(video.id)).status for _ in range(3)]
    assert seen == ["queued", "in_progress", "completed"]
    content = await client.videos.download_content(video.id)
    assert content.content == clip(720, 1280, 4)
    assert (await client.videos.delete(video.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.videos.retrieve(video.id)


@pytest.mark.parametrize(
    ("fault", "raised", "code"),
    [
        ("moderation_blocked", openai.BadRequestError, "moderation_blocked"),
        ("auth", openai.AuthenticationError, "invalid_api_key"),
        ("forbidden", openai.PermissionDeniedError, None),
        ("no_model", openai.NotFoundError, "model_not_found"),
        ("quota", openai.RateLimitError, "insufficient_quota"),
        ("rate_limited", openai.RateLimitError, "rate_limit_exceeded"),
        ("server_error", openai.InternalServerError, None),
        ("detail_list", openai.UnprocessableEntityError, None),
        ("drop", openai.APIConnectionError, None),
    ],
)
async def test_its_errors_are_the_vendors(
    client: openai.AsyncOpenAI, fake: FakeServer, fault: str, raised: type[openai.OpenAIError], code: str | None
) -> None:
    fake.behave(fault)
    with pytest.raises(raised) as caught:
        await client.images.generate(prompt="a fox", model="fake-image")
    assert getattr(caught.value, "code", None) == code


async def test_it_refuses_what_the_vendor_does_not_know(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'seed'"):
        await client.images.generate(prompt="a fox", model="fake-image", extra_body={"seed": 5})


async def test_it_lists_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["fake-image", "fake-video"]
