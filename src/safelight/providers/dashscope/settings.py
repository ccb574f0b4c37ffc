"""What a connection and a binding of this kind are told.

The API has several shapes, and a model speaks one of them. A binding may say which; where it does not, the model's name
does, by the rules of ``shape_of``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.connections import BaseUrl, HttpConnectionSettings, Secret
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole

Api = Literal["image-synthesis", "image2image", "image-generation", "multimodal", "video-synthesis", "image2video"]
SizeStyle = Literal["size", "resolution", "resolution-ratio"]
Unsayable = Literal["n", "prompt_extend", "watermark"]
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", description="the name of a parameter, such as audio")]
InputName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]*(\[\])?$",
        description="the name of an input, such as img_url, or with [] that of a list, such as images[]",
    ),
]

PATHS: dict[Api, str] = {
    "image-synthesis": "/services/aigc/text2image/image-synthesis",
    "image2image": "/services/aigc/image2image/image-synthesis",
    "image-generation": "/services/aigc/image-generation/generation",
    "multimodal": "/services/aigc/multimodal-generation/generation",
    "video-synthesis": "/services/aigc/video-generation/video-synthesis",
    "image2video": "/services/aigc/image2video/video-synthesis",
}
VIDEO_APIS: frozenset[Api] = frozenset({"video-synthesis", "image2video"})
MESSAGE_APIS: frozenset[Api] = frozenset({"image-generation", "multimodal"})
"""The prompt and the pictures are a message; the others have inputs by name."""

RESERVED = frozenset({"model", "prompt", "messages", "negative_prompt", "size", "resolution", "duration", "seed", "n"})
"""What an order says itself: no option may say it otherwise."""
REFERENCE_INPUTS = frozenset(
    {
        "img_url",
        "first_frame_url",
        "last_frame_url",
        "head_frame",
        "tail_frame",
        "base_image_url",
        "ref_img",
        "sketch_image_url",
        "images",
        "media",
        "reference_url",
        "reference_urls",
    }
)
"""Inputs by which pictures go: only those of the order do, which were looked at."""
INPUTS = frozenset(
    {
        "audio_url",
        "extend_prompt",
        "function",
        "mask_image_url",
        "reference_video_description",
        "reference_video_urls",
        "template",
    }
)
"""What the official client puts into ``input``; everything else is a parameter."""

_TO_WAN_26 = re.compile(r"(?:.*/)?(?:wanx|wan2\.[1-6](?!\d))")
_TO_WAN_25 = re.compile(r"(?:.*/)?(?:wanx|wan2\.[1-5](?!\d))")


class Settings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may be told.

    ``references``: whether reference images go along with an order, or are fetched here by a link. ``workspace``: whose
    orders they are, in an account that has several. ``timeout_seconds``: how long an answer is waited for that has the
    picture in it. ``retry_allocation_quota``: ``Throttling.AllocationQuota`` passes by itself, and is no empty account.
    """

    base_url: BaseUrl = "https://dashscope-intl.aliyuncs.com/api/v1"
    key: Secret
    references: Literal["inline", "link"] = "inline"
    workspace: (
        Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="the id of a workspace")] | None
    ) = None
    timeout_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    retry_allocation_quota: bool = False


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. What is None follows from the model's name: see ``shape_of``.

    ``api``: where it is ordered. ``inputs``: the input by which the pictures of a role go, with ``[]`` a list.
    ``size``: said as ``size = "1280*720"``, as ``resolution``, or as ``resolution`` and ``ratio``. ``sound``: the name
    of the switch. ``prompt_extend``: whether the prompt may be rewritten there. ``watermark``: whether it is put on.
    ``unsaid``: which of these the model is not told. ``parameters``, ``input``: what each order carries besides.
    ``input_options``: provider options that belong into ``input``, besides those that are known to.
    """

    api: Api | None = None
    inputs: dict[ReferenceRole, InputName] | None = None
    size: SizeStyle | None = None
    sound: Name = "audio"
    prompt_extend: bool = False
    watermark: bool = False
    unsaid: tuple[Unsayable, ...] = ()
    parameters: dict[str, Any] = {}
    input: dict[str, Any] = {}
    input_options: tuple[Name, ...] = ()

    def __post_init__(self) -> None:
        named = {self.sound, *(each.removesuffix("[]") for each in (self.inputs or {}).values())}
        if taken := sorted((RESERVED | {"ratio"}) & named):
            raise ValueError(f"inputs and sound: {', '.join(taken)} is something else")
        for name, given in (("parameters", self.parameters), ("input", self.input)):
            if taken := sorted((RESERVED | REFERENCE_INPUTS) & given.keys()):
                raise ValueError(f"{name}: an order says {', '.join(taken)} by itself")


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is spoken to: see ``Options``."""

    api: Api
    inputs: Mapping[ReferenceRole, str]
    size: SizeStyle


def shape_of(upstream_model: str, type_: GenerationType, options: Options) -> Shape:
    """What the binding says, and for the rest what the documentation says of models with such a name."""
    api, inputs, size = _of_video(upstream_model) if type_ is GenerationType.VIDEO else _of_image(upstream_model)
    api = options.api or api
    if options.inputs is not None:
        inputs = options.inputs
    return Shape(api=api, inputs={} if api in MESSAGE_APIS else inputs, size=options.size or size)


_Parts = tuple[Api, dict[ReferenceRole, str], SizeStyle]


def _of_image(name: str) -> _Parts:
    if not _TO_WAN_25.match(name):
        return "multimodal", {"reference_image": "images[]"}, "size"
    if "imageedit" in name:
        return "image2image", {"reference_image": "base_image_url"}, "size"
    if "i2i" in name:
        return "image2image", {"reference_image": "images[]"}, "size"
    return "image-synthesis", {}, "size"


def _of_video(name: str) -> _Parts:
    if "kf2v" in name:
        return "image2video", {"first_frame": "first_frame_url", "last_frame": "last_frame_url"}, "resolution"
    by_picture: SizeStyle | None = "resolution" if "i2v" in name else None
    if _TO_WAN_26.match(name):
        known: dict[ReferenceRole, str] = {"first_frame": "img_url", "reference_image": "reference_urls[]"}
        return "video-synthesis", known, by_picture or "size"
    roles: tuple[ReferenceRole, ...] = ("first_frame", "last_frame", "reference_image")
    return "video-synthesis", dict.fromkeys(roles, "media[]"), by_picture or "resolution-ratio"
