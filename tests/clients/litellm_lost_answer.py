"""Run by LiteLLM's own Python: an order over a network that loses the first answer. What LiteLLM does not repeat its
caller does, with an idempotency key."""

import os
import sys
from pathlib import Path

import litellm

SAFELIGHT = {"api_base": os.environ["SAFELIGHT_BASE_URL"] + "/v1", "api_key": os.environ["SAFELIGHT_API_KEY"]}
ONCE = {"extra_headers": {"Idempotency-Key": "boat-7"}, **SAFELIGHT}
CALL, PICTURE = sys.argv[1], Path(sys.argv[2])


def order() -> None:
    if CALL == "image":
        litellm.image_generation(model="openai/gpt-image-1", prompt="A boat", size="1024x1024", **SAFELIGHT)
    elif CALL == "edit":
        image = PICTURE.read_bytes()
        litellm.image_edit(model="openai/gpt-image-1", image=image, prompt="At night", size="1024x1024", **ONCE)
    elif CALL == "video":
        litellm.video_generation(model="openai/sora-2", prompt="A boat", seconds="4", size="1280x720", **ONCE)


try:
    order()
except (litellm.APIConnectionError, litellm.InternalServerError):
    assert CALL != "image", "LiteLLM repeats that itself"
    order()
