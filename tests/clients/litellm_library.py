"""Run by LiteLLM's own Python: every call that a caller of the library has, awaited and not; prints what came back."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import litellm

SAFELIGHT = {"api_base": os.environ["SAFELIGHT_BASE_URL"] + "/v1", "api_key": os.environ["SAFELIGHT_API_KEY"]}
SMALL = {"size": "1024x1024", **SAFELIGHT}
VIDEO = {"model": "openai/sora-2", "prompt": "A boat leaves", "seconds": "4", "size": "1280x720", **SAFELIGHT}
PICTURE = Path(sys.argv[1])


def images() -> dict[str, object]:
    one = litellm.image_generation(model="openai/gpt-image-1", prompt="A boat", n=2, quality="auto", user="u1", **SMALL)
    by_id = litellm.image_generation(model="openai/seedream-5-lite", prompt="A boat", **SMALL)
    dall_e = litellm.image_generation(model="openai/dall-e-3", prompt="A boat", response_format="url", **SMALL)
    with PICTURE.open("rb") as file:
        edit = litellm.image_edit(model="openai/gpt-image-1", image=file, prompt="At night", **SMALL)
    files = [PICTURE.open("rb"), PICTURE.open("rb")]
    edit_of_two = litellm.image_edit(model="openai/gpt-image-1", image=files, prompt="Both", **SMALL)
    return {
        "images": [image.b64_json for image in one.data],
        "by_id": by_id.data[0].b64_json,
        "url": dall_e.data[0].url,
        "edit": edit.data[0].b64_json,
        "edit_of_two": edit_of_two.data[0].b64_json,
    }


def videos() -> dict[str, object]:
    created = litellm.video_generation(**VIDEO)
    found = created
    while found.status not in ("completed", "failed"):
        time.sleep(0.1)
        found = litellm.video_status(video_id=created.id, **SAFELIGHT)
    content = litellm.video_content(video_id=created.id, **SAFELIGHT)
    remix = litellm.video_remix(video_id=created.id, prompt="In fog", **SAFELIGHT)
    listed = litellm.video_list(custom_llm_provider="openai", **SAFELIGHT)
    Path("video.mp4").write_bytes(content)
    return {"created": created.status, "found": found.status, "remix": remix.status, "listed": len(listed["data"])}


def refusal() -> list[str]:
    try:
        litellm.image_generation(model="openai/refused-image", prompt="A boat", max_retries=0, **SAFELIGHT)
    except litellm.ContentPolicyViolationError as error:
        return ["ContentPolicyViolationError", str(error.status_code)]
    return []


async def awaited() -> dict[str, object]:
    image = await litellm.aimage_generation(model="openai/gpt-image-1", prompt="A boat", **SMALL)
    with PICTURE.open("rb") as file:
        edit = await litellm.aimage_edit(model="openai/gpt-image-1", image=file, prompt="At night", **SMALL)
    created = await litellm.avideo_generation(**VIDEO)
    found = created
    while found.status not in ("completed", "failed"):
        await asyncio.sleep(0.1)
        found = await litellm.avideo_status(video_id=created.id, **SAFELIGHT)
    Path("awaited.mp4").write_bytes(await litellm.avideo_content(video_id=created.id, **SAFELIGHT))
    return {"image": image.data[0].b64_json, "edit": edit.data[0].b64_json, "video": found.status}


print(json.dumps({**images(), **videos(), "refusal": refusal(), "awaited": asyncio.run(awaited())}))
