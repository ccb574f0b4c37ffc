"""The stand-in, judged by the official client before any adapter meets it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime import _exceptions as official
from volcenginesdkarkruntime.types.content_generation.content_generation_task import ContentGenerationTask
from volcenginesdkarkruntime.types.images.images import ImagesResponse, SequentialImageGenerationOptions

from tests.providers.ark.fake import FakeArk
from tests.providers.ark.faults import FAULTS
from tests.providers.ark.studio import IMAGE_MODEL, VIDEO_MODEL, references

TEXT = {"type": "text", "text": "a red fox"}


@pytest.fixture
async def client(fake: FakeArk) -> AsyncIterator[AsyncArk]:
    made = AsyncArk(base_url=fake.base_url, api_key=fake.key, max_retries=0, timeout=10)
    yield made
    await made.close()


def known(value: Any, *but: str) -> None:
    """No field that the client's types do not have, at any depth; of ``but``, its own reader knows."""
    extra = set(value.model_extra or ()) - set(but)
    assert not extra, f"{type(value).__name__} has {extra}"
    for name in value.model_fields_set:
        inner = getattr(value, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if hasattr(each, "model_extra"):
                known(each, *but)


async def test_its_pictures_are_what_the_client_reads(fake: FakeArk, client: AsyncArk) -> None:
    by_url = await client.images.generate(
        model=IMAGE_MODEL,
        prompt="a red fox",
        image=[each.data_url() for each in references("reference_image", "reference_image")],
        size="2K",
        seed=7,
        watermark=False,
        sequential_image_generation="disabled",
        sequential_image_generation_options=SequentialImageGenerationOptions(max_images=1),
    )
    assert isinstance(by_url, ImagesResponse) and by_url.data[0].url.startswith("http")
    known(by_url, "created", "note")
    inline = await client.images.generate(model=IMAGE_MODEL, prompt="a fox", response_format="b64_json")
    assert inline.data[0].b64_json and inline.usage.generated_images == 1
    assert "seed" not in fake.orders[1], "what the client was not given it sends as null, and that is nothing"


async def test_its_tasks_are_what_the_client_reads(fake: FakeArk, client: AsyncArk) -> None:
    frame = {"type": "image_url", "image_url": {"url": references("first_frame")[0].data_url()}, "role": "first_frame"}
    tasks = client.content_generation.tasks
    created = await tasks.create(
        model=VIDEO_MODEL,
        content=[TEXT, frame],
        resolution="720p",
        ratio="16:9",
        duration=5,
        generate_audio=False,
        safety_identifier="abc",
        callback_url="https://a.example/b",
    )
    assert created.safety_identifier == "abc"
    answers = [await tasks.get(task_id=created.id) for _ in range(2)]
    assert [each.status for each in answers] == ["running", "succeeded"]
    known(answers[1])
    assert answers[1].content.video_url.endswith("sig=3") and answers[1].usage.completion_tokens == 108900
    assert answers[1].error is None and answers[0].content is None
    assert json.loads(fake.callback())["id"] == created.id
    assert json.loads(fake.callback()).keys() <= ContentGenerationTask.model_fields.keys()


async def test_its_list_has_tasks_by_id_and_of_one_tier(fake: FakeArk, client: AsyncArk) -> None:
    tasks = client.content_generation.tasks
    ids = [(await tasks.create(model="m", content=[TEXT])).id for _ in range(3)]
    flex = (await tasks.create(model="m", content=[TEXT], service_tier="flex")).id
    some = await tasks.list(task_ids=[ids[0], ids[2], flex], page_size=3)
    assert [each.id for each in some.items] == [ids[2], ids[0]] and some.total == 2
    assert [each.id for each in (await tasks.list(task_ids=flex, service_tier="flex")).items] == [flex]
    page = await tasks.list(page_num=2, page_size=2, model="m")
    assert ([each.id for each in page.items], page.total) == ([ids[0]], 3)
    assert len((await tasks.list(status="queued")).items) == 1, "the others were asked about, and run"


async def test_what_delete_does_depends_on_the_status(fake: FakeArk, client: AsyncArk) -> None:
    tasks = client.content_generation.tasks
    queued, running, done = [(await tasks.create(model="m", content=[TEXT])).id for _ in range(3)]
    fake.tasks[running]["status"], fake.tasks[done]["status"] = "running", "succeeded"
    await tasks.delete(queued)
    fake.held = "queued"
    assert (await tasks.get(task_id=queued)).status == "cancelled"
    with pytest.raises(official.ArkConflictError) as refused:
        await tasks.delete(running)
    assert refused.value.code == "InvalidAction.RunningTaskDeletion"
    await tasks.delete(done)
    with pytest.raises(official.ArkNotFoundError):
        await tasks.get(task_id=done)
    assert fake.deleted == [done]


@pytest.mark.parametrize("fault", [name for name, (status, _, _) in FAULTS.items() if status != 200])
async def test_it_declines_as_the_client_expects(fake: FakeArk, client: AsyncArk, fault: str) -> None:
    fake.next = fault
    with pytest.raises(official.ArkAPIStatusError) as declined:
        await client.images.generate(model="m", prompt="a fox")
    assert declined.value.status_code == FAULTS[fault][0]
    body = FAULTS[fault][1]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        assert (declined.value.code, declined.value.param) == (body["error"]["code"], body["error"]["param"])


async def test_what_it_does_not_know_it_refuses(fake: FakeArk, client: AsyncArk) -> None:
    with pytest.raises(official.ArkBadRequestError):
        await client.images.generate(model="m", prompt="a fox", extra_body={"negative_prompt": "fog"})
    with pytest.raises(official.ArkBadRequestError):
        await client.images.generate(model="m", prompt="a fox", size="huge")
    with pytest.raises(official.ArkBadRequestError):
        await client.content_generation.tasks.create(model="m", content=[])
    stranger = AsyncArk(base_url=fake.base_url, api_key="another", max_retries=0)
    with pytest.raises(official.ArkAuthenticationError):
        await stranger.content_generation.tasks.list()
    await stranger.close()
    fake.next = "drop"
    with pytest.raises(official.ArkAPIConnectionError):
        await client.images.generate(model="m", prompt="a fox")
