"""What the model server deploys: pipelines of diffusers, as a catalog declares them in ``[[pipelines]]``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.generations import GenerationType

_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})", re.ASCII)
_FOLDER_MARKS = ("/", "./", "../", "~/")

SAID_BY_ORDERS = frozenset(
    {
        "prompt",
        "negative_prompt",
        "image",
        "last_image",
        "height",
        "width",
        "num_frames",
        "frame_rate",
        "fps",
        "generator",
        "latents",
        "num_images_per_prompt",
        "num_videos_per_prompt",
        "num_inference_steps",
        "guidance_scale",
        "strength",
        "output_type",
        "return_dict",
        "callback",
        "callback_steps",
        "callback_on_step_end",
        "callback_on_step_end_tensor_inputs",
    }
)
"""Arguments of a pipeline's call that an order, or the server, says by itself."""


class Task(StrEnum):
    """What a pipeline makes, from what."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"

    @property
    def makes(self) -> GenerationType:
        return GenerationType.VIDEO if self in (Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO) else GenerationType.IMAGE

    @property
    def takes_image(self) -> bool:
        return self in (Task.IMAGE_TO_IMAGE, Task.IMAGE_TO_VIDEO)


class WarmUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is made once before the first order: its ``size`` (``512x512``), and of a video its ``frames``."""

    size: Annotated[str, Meta(pattern=f"^{_SIZE.pattern}$", description="a size such as 512x512")]
    frames: Annotated[int, Meta(ge=1, le=10_000)] | None = None

    @property
    def pixels(self) -> tuple[int, int]:
        match = _SIZE.fullmatch(self.size)
        assert match is not None
        return int(match[1]), int(match[2])


class Pipeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pipeline, and how many copies of it run where.

    ``name``: what bindings call it as their ``model``. ``source``: a repository of the hub (``owner/name``), or a
    folder as ``save_pretrained`` writes it, beside the catalog unless absolute. ``tasks`` share its weights.
    ``dtype``: ``auto`` is bfloat16 on a graphics card, float32 without. ``offload``: what waits in main memory.
    ``gpus`` and ``cpus`` are of each replica; there are ``replicas``, or from ``min_replicas`` to ``max_replicas`` by
    load. ``max_queued``: orders that wait; more are refused. ``steps``, ``guidance``: unless an order says them.
    ``call``: fixed arguments of the pipeline's call; ``allow``: those that an order may set besides. ``fps``: frames a
    second of its videos. ``size_multiple``: what divides both sides, if it is not what the pipeline's class says.
    ``max_images``: pictures of one order. ``connection``: the one that leads here, so that bindings to it are compared.
    """

    name: str
    source: str
    tasks: tuple[Task, ...]
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    offload: Literal["none", "model", "sequential"] = "none"
    gpus: Annotated[float, Meta(ge=0, le=64)] = 1.0
    cpus: Annotated[float, Meta(ge=0, le=1024)] = 1.0
    replicas: Annotated[int, Meta(ge=1, le=1000)] | None = None
    min_replicas: Annotated[int, Meta(ge=0, le=1000)] | None = None
    max_replicas: Annotated[int, Meta(ge=1, le=1000)] | None = None
    max_queued: Annotated[int, Meta(ge=0, le=100_000)] = 100
    steps: Annotated[int, Meta(ge=1, le=500)] | None = None
    guidance: Annotated[float, Meta(ge=0, le=100)] | None = None
    call: dict[str, Any] = {}
    allow: tuple[str, ...] = ()
    fps: Annotated[int, Meta(ge=1, le=120)] | None = None
    size_multiple: Annotated[int, Meta(ge=1, le=1024)] | None = None
    max_images: Annotated[int, Meta(ge=1, le=8)] = 1
    revision: str | None = None
    variant: str | None = None
    trust_remote_code: bool = False
    warm_up: WarmUp | None = None
    connection: str | None = None

    @property
    def is_folder(self) -> bool:
        return self.source.startswith(_FOLDER_MARKS) or self.source in (".", "..")

    @property
    def most_replicas(self) -> int:
        return self.max_replicas or self.replicas or 1

    @property
    def least_replicas(self) -> int:
        return self.replicas or 1 if self.max_replicas is None else (self.min_replicas or 0)
