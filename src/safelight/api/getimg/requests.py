"""What comes over the wire: the bodies of requests for a generation."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat, ReferenceRole
from safelight.domain.request import Request
from safelight.domain.text import BLANKS

Url = Annotated[
    str,
    Meta(
        min_length=1,
        description="An HTTPS address, or a base64 data URL (`data:image/png;base64,...`; PNG, JPEG, WebP; "
        "10 MiB decoded).",
    ),
]
Prompt = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4096,
        description="What to make; not blank, and without NUL.",
        extra_json_schema={"pattern": rf"^[^\x00]*[^{BLANKS}][^\x00]*$"},
    ),
]
ModelId = Annotated[str, Meta(min_length=1, max_length=100, description="A model's id, as /v2/models lists it.")]
Ratio = Annotated[str, Meta(description="One that the model lists; its first by default.", examples=["16:9"])]
Resolution = Annotated[str, Meta(description="One that the model lists; its first by default.", examples=["2K"])]


WebhookUrl = Annotated[
    str,
    Meta(min_length=1, description="An HTTPS address that is told how this generation ends (docs/webhooks.md)."),
]
Retention = Annotated[
    int, Meta(ge=60, description="Seconds to keep the media, up to the workspace's maximum.", examples=[86400])
]
Store = Annotated[
    bool, Meta(description="False: delivered once. Deleted after the first complete download, or an hour.")
]


Seed = Annotated[
    int, Meta(ge=0, le=4294967295, description="Where the model takes one: the same seed, the same picture.")
]
NegativePrompt = Annotated[
    str, Meta(max_length=4096, description="What to avoid, where the model takes it; not NUL.", pattern=r"^[^\x00]*$")
]
ProviderOptions = Annotated[
    dict[str, Any],
    Meta(description="Passed on to the backend as they are: those that the model lists; 16 KiB as JSON at most."),
]
EventName = Literal[
    "generation.completed", "generation.failed", "generation.canceled", "moderation.refused", "balance.low"
]


class GenerationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every request for a generation takes. A field's name is that of ``domain.request.Request``.

    What need not be given may be null, here and in all that a body holds: clients write the fields they leave out so.
    """

    type: ClassVar[GenerationType]

    model: ModelId
    prompt: Prompt
    aspect_ratio: Ratio | None = None
    resolution: Resolution | None = None
    seed: Seed | None = None
    negative_prompt: NegativePrompt | None = None
    provider_options: ProviderOptions | None = None
    retention_seconds: Retention | None = None
    store: Store | None = None
    webhook_url: WebhookUrl | None = None

    def request(self) -> Request:
        """The same by the domain's names; what is null is not given."""
        given = {name: value for name, value in msgspec.to_builtins(self).items() if value is not None}
        return msgspec.convert({"type": self.type, **given}, Request)


class ImageReferenceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A reference image of an image request."""

    url: Url
    role: Literal["reference_image"] | None = None


class ImageGenerationBody(GenerationBody, forbid_unknown_fields=True, kw_only=True):
    """A request for an image."""

    type = GenerationType.IMAGE

    output_format: Annotated[ImageFormat, Meta(description="The file's format; jpeg by default.")] | None = None
    images: Annotated[list[ImageReferenceBody], Meta(max_length=8, description="Reference images.")] | None = None


class VideoReferenceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An image that a video starts from, ends with, or takes after."""

    url: Url
    role: ReferenceRole


class VideoGenerationBody(GenerationBody, forbid_unknown_fields=True, kw_only=True):
    """A request for a video."""

    type = GenerationType.VIDEO

    duration: Annotated[int, Meta(description="Seconds; one that the model lists, its first by default.")] | None = None
    sound: Annotated[bool, Meta(description="Whether the video has sound; false by default.")] | None = None
    images: Annotated[list[VideoReferenceBody], Meta(max_length=8, description="Images with roles.")] | None = None


class TestEventBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request to be told of an event for which nothing happened."""

    type: Annotated[EventName, Meta(description="What it is to be.")]
