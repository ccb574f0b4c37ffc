"""The fake is judged by the vendor's own client first, so that it is not merely our idea of the vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import dashscope
import pytest
from dashscope import ImageSynthesis, Models, MultiModalConversation, VideoSynthesis
from dashscope.aigc.image_generation import ImageGeneration

from tests.providers.dashscope.fake import KEY, WORDS, Fake

DATA_URL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(autouse=True)
def the_client(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashscope, "base_http_api_url", fake.base_url)


async def asked(call: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """The client blocks."""
    return await asyncio.to_thread(call, *given, api_key=KEY, **more)


async def test_it_makes_a_picture_as_a_task(fake: Fake) -> None:
    answer = await asked(
        ImageSynthesis.call,
        "wan2.2-t2i-flash",
        "a fox",
        negative_prompt="fog",
        n=1,
        size="1024*1024",
        seed=7,
        prompt_extend=True,
        watermark=False,
    )
    assert answer.status_code == 200, answer
    assert (answer.output.task_status, answer.usage.image_count) == ("SUCCEEDED", 1)
    (result,) = answer.output.results
    assert (result.url.split("?")[0], result.actual_prompt) == (
        f"{fake.root}/media/task-1-0.png",
        "a fox, in the best light",
    )
    assert fake.sent[0].api == "text2image/image-synthesis"
    assert fake.sent[0].body == {
        "model": "wan2.2-t2i-flash",
        "input": {"prompt": "a fox", "negative_prompt": "fog"},
        "parameters": {"size": "1024*1024", "n": 1, "seed": 7, "prompt_extend": True, "watermark": False},
    }


async def test_it_makes_four_pictures_where_it_is_not_told_how_many(fake: Fake) -> None:
    answer = await asked(ImageSynthesis.call, "wan2.2-t2i-flash", "a fox", size="1024*1024")
    assert len(answer.output.results) == 4


async def test_it_edits_pictures(fake: Fake) -> None:
    answer = await asked(ImageSynthesis.call, "wan2.5-i2i-preview", "a fox", images=[DATA_URL] * 2, n=1)
    assert answer.output.task_status == "SUCCEEDED"
    assert fake.sent[0].api == "image2image/image-synthesis"
    assert fake.sent[0].input["images"] == [DATA_URL] * 2
    answer = await asked(
        ImageSynthesis.call, "wanx2.1-imageedit", "a fox", base_image_url=DATA_URL, function="description_edit", n=1
    )
    assert answer.output.task_status == "SUCCEEDED"
    assert fake.sent[1].input["base_image_url"] == DATA_URL


@pytest.mark.parametrize("pictures", [0, 2])
async def test_it_makes_a_picture_in_one_answer_and_from_others(fake: Fake, pictures: int) -> None:
    content = [*({"image": "https://example.com/a.png"} for _ in range(pictures)), {"text": "a fox"}]
    messages = [{"role": "user", "content": content}]
    parameters: dict[str, Any] = {"negative_prompt": "fog", "size": "1328*1328", "n": 1, "watermark": False}
    answer = await asked(MultiModalConversation.call, "qwen-image-plus", messages, **parameters)
    assert answer.status_code == 200, answer
    assert answer.output.choices[0].message.content[0]["image"].startswith(f"{fake.root}/media/")
    assert answer.usage.image_count == 1
    assert (fake.sent[0].content, fake.sent[0].parameters) == (content, parameters)
    assert fake.sent[0].api == "multimodal-generation/generation"


async def test_it_makes_a_picture_of_a_message_as_a_task(fake: Fake) -> None:
    messages = [{"role": "user", "content": [{"text": "a fox"}]}]
    task = await asked(ImageGeneration.async_call, "wan2.7-image", messages=messages, n=1, size="2K")
    assert (task.status_code, fake.sent[0].api) == (200, "image-generation/generation")
    answer = await asked(ImageGeneration.wait, task.output.task_id)
    assert answer.output.choices[0].message.content[0]["image"].startswith(f"{fake.root}/media/")


async def test_it_makes_clips(fake: Fake) -> None:
    shape: dict[str, Any] = {"duration": 5, "seed": 7, "prompt_extend": False, "watermark": False}
    of_text = await asked(VideoSynthesis.call, "wan2.6-t2v", "a fox", size="1280*720", audio=False, **shape)
    assert of_text.output.video_url.startswith(f"{fake.root}/media/task-1-0.mp4"), of_text
    assert (of_text.usage.video_count, of_text.usage.video_duration) == (1, 5)
    await asked(VideoSynthesis.call, "wan2.6-i2v", "a fox", img_url=DATA_URL, resolution="720P", **shape)
    await asked(
        VideoSynthesis.call,
        "wan2.2-kf2v-flash",
        "a fox",
        first_frame_url=DATA_URL,
        last_frame_url=DATA_URL,
        resolution="720P",
        **shape,
    )
    media = [{"type": role, "url": "https://example.com/a.png"} for role in ("first_frame", "last_frame")]
    await asked(VideoSynthesis.call, "wan2.7-i2v", "a fox", media=media, resolution="720P", **shape)
    await asked(VideoSynthesis.call, "wan2.7-t2v", "a fox", resolution="720P", ratio="16:9", **shape)
    assert [order.api.split("/")[0] for order in fake.sent] == [
        "video-generation",
        "video-generation",
        "image2video",
        "video-generation",
        "video-generation",
    ]
    assert fake.sent[3].input["media"] == media


async def test_a_task_is_asked_about_listed_and_canceled(fake: Fake) -> None:
    fake.is_held = True
    task = await asked(VideoSynthesis.async_call, "wan2.6-t2v", "a fox", size="1280*720", duration=5)
    assert (await asked(VideoSynthesis.fetch, task.output.task_id)).output.task_status == "PENDING"
    listed = await asked(VideoSynthesis.list)
    assert listed.output["data"] == [{"task_id": "task-1", "status": "PENDING"}]
    assert (await asked(VideoSynthesis.cancel, task.output.task_id)).status_code == 200
    assert (await asked(VideoSynthesis.fetch, task.output.task_id)).output.task_status == "CANCELED"
    again = await asked(VideoSynthesis.cancel, task.output.task_id)
    assert (again.status_code, again.code) == (400, "UnsupportedOperation")
    assert (await asked(VideoSynthesis.wait, "no-such-task")).output.task_status == "UNKNOWN"


async def test_a_task_fails_as_the_client_expects(fake: Fake) -> None:
    fake.states = ["FAILED:DataInspectionFailed"]
    answer = await asked(VideoSynthesis.call, "wan2.6-t2v", "a fox", size="1280*720", duration=5)
    assert (answer.output.task_status, answer.output.code) == ("FAILED", "DataInspectionFailed")


@pytest.mark.parametrize("word", [word for word, (_, code, _) in WORDS.items() if code])
async def test_its_refusals_are_the_vendors(word: str) -> None:
    status, code, _ = WORDS[word]
    answer = await asked(ImageSynthesis.async_call, "wan2.2-t2i-flash", f"{word} fox", size="1024*1024")
    assert (answer.status_code, answer.code) == (status, code)


async def test_it_refuses_what_the_vendor_does_not_know() -> None:
    answer = await asked(ImageSynthesis.async_call, "wan2.2-t2i-flash", "a fox", size="1024x1024")
    assert (answer.status_code, answer.code) == (400, "InvalidParameter")
    answer = await asked(ImageSynthesis.async_call, "wan2.2-t2i-flash", "a fox", palette="warm")
    assert (answer.status_code, answer.code) == (400, "InvalidParameter")
    answer = await asked(ImageSynthesis.sync_call, "wan2.2-t2i-flash", "a fox", size="1024*1024")
    assert (answer.status_code, answer.code) == (403, "AccessDenied")
    answer = await asyncio.to_thread(VideoSynthesis.fetch, "task-1", api_key="sk-another")
    assert (answer.status_code, answer.code) == (401, "InvalidApiKey")


async def test_it_lists_a_model() -> None:
    assert (await asked(Models.get, "wan2.6-t2v")).output["model"] == "wan2.6-t2v"
    assert (await asked(Models.get, "no-such-model")).status_code == 404
