"""What each tool takes. The schemas that hosts see are made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from safelight.domain.media import ImageFormat
from safelight.mcp.api import Refused

MOST_IMAGES = 4
MOST_WAIT_SECONDS = 50
"""Hosts give a call up after 60 seconds unless they are told otherwise."""

MOST_LISTED = 50

T = TypeVar("T", bound="Arguments")

_SOURCE = (
    "an https:// address, a data URL (data:image/png;base64,...; PNG, JPEG or WebP), or the id of an earlier image of "
    "yours (req-...), which is best for what was made here"
)
Prompt = Annotated[str, Meta(min_length=1, max_length=4096, description="What to make, in words.")]
Model = (
    Annotated[
        str,
        Meta(description="A model's id, as list_models tells. Without it: the first that can do what is asked for."),
    ]
    | UnsetType
)
Ratio = Annotated[str, Meta(description="Width to height. Which a model has, list_models tells.")] | UnsetType
Resolution = (
    Annotated[str, Meta(description="How large. Which a model has and what each costs, list_models tells.")] | UnsetType
)
Seed = (
    Annotated[int, Meta(ge=0, le=4294967295, description="Where the model takes one: the same seed, the same picture.")]
    | UnsetType
)
NegativePrompt = (
    Annotated[str, Meta(max_length=4096, description="What to avoid, where the model takes it.")] | UnsetType
)
References = Annotated[list[str], Meta(max_length=8, description=f"Pictures to go by. Each is {_SOURCE}.")] | UnsetType
IdempotencyKey = (
    Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f]*$",
            description="Any text of your own. A call repeated with it, and otherwise the same, is the same order: it "
            "is made and charged once. Give it where an answer may get lost.",
        ),
    ]
    | UnsetType
)
GenerationId = Annotated[str, Meta(min_length=1, max_length=100, description="The id (req-...) that an answer told.")]
GenerationType = Literal["image", "video"]


class Arguments(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The arguments of a tool."""

    def given(self, *names: str) -> dict[str, Any]:
        """Those of these names that were given."""
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not UNSET}


class ImageArguments(Arguments, kw_only=True):
    prompt: Prompt
    model: Model = UNSET
    aspect_ratio: Ratio = UNSET
    resolution: Resolution = UNSET
    count: Annotated[
        int, Meta(ge=1, le=MOST_IMAGES, description="How many images to make of the prompt; each is charged.")
    ] = 1
    reference_images: References = UNSET
    output_format: Annotated[ImageFormat, Meta(description="The file's format; jpeg by default.")] | UnsetType = UNSET
    seed: Seed = UNSET
    negative_prompt: NegativePrompt = UNSET
    idempotency_key: IdempotencyKey = UNSET


class VideoArguments(Arguments, kw_only=True):
    prompt: Prompt
    model: Model = UNSET
    duration: (
        Annotated[int, Meta(description="Seconds. Which a model has, list_models tells; each second is charged.")]
        | UnsetType
    ) = UNSET
    aspect_ratio: Ratio = UNSET
    resolution: Resolution = UNSET
    sound: Annotated[bool, Meta(description="Whether it has sound, where the model makes any.")] | UnsetType = UNSET
    first_frame: Annotated[str, Meta(description=f"The picture it begins with: {_SOURCE}.")] | UnsetType = UNSET
    last_frame: Annotated[str, Meta(description=f"The picture it ends with: {_SOURCE}.")] | UnsetType = UNSET
    reference_images: References = UNSET
    seed: Seed = UNSET
    negative_prompt: NegativePrompt = UNSET
    idempotency_key: IdempotencyKey = UNSET


class QuoteArguments(Arguments, kw_only=True):
    type: Annotated[GenerationType, Meta(description="What would be made.")]
    model: Model = UNSET
    aspect_ratio: Ratio = UNSET
    resolution: Resolution = UNSET
    duration: Annotated[int, Meta(description="Seconds, of a video.")] | UnsetType = UNSET
    sound: Annotated[bool, Meta(description="Whether a video has sound.")] | UnsetType = UNSET
    count: Annotated[int, Meta(ge=1, le=MOST_IMAGES, description="How many of it.")] = 1


class ModelsArguments(Arguments, kw_only=True):
    type: Annotated[GenerationType, Meta(description="Only models that make this.")] | UnsetType = UNSET


class GetArguments(Arguments, kw_only=True):
    id: GenerationId
    wait_seconds: Annotated[
        int,
        Meta(ge=0, le=MOST_WAIT_SECONDS, description="How long to wait for its end, if that is not there yet."),
    ] = 0


class ListArguments(Arguments, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED, description="How many.")] = 10
    after: Annotated[str, Meta(description="The last id of the page before: the older ones follow.")] | UnsetType = (
        UNSET
    )
    type: Annotated[GenerationType, Meta(description="Only these.")] | UnsetType = UNSET
    status: (
        Annotated[Literal["pending", "completed", "failed"], Meta(description="Only those that stand so.")] | UnsetType
    ) = UNSET


class CancelArguments(Arguments, kw_only=True):
    id: GenerationId


class NoArguments(Arguments, kw_only=True):
    pass


def read(given: dict[str, Any] | None, into: type[T]) -> T:
    """The arguments of a call; what is null is not given. Raises ``Refused`` that names the parameter."""
    document = {name: value for name, value in (given or {}).items() if value is not None}
    known = {field.encode_name for field in msgspec.structs.fields(into)}
    for name in document:
        if name not in known:
            takes = ", ".join(field.encode_name for field in msgspec.structs.fields(into)) or "none"
            raise Refused(
                f"{name[:80]!r} is no parameter of this tool. It takes: {takes}.",
                code="invalid_parameter",
                param=name[:80],
            )
    try:
        return msgspec.convert(document, into)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$.")
        param = place.rstrip("`") or None
        if "missing required field" in said:
            name = said.rpartition(" ")[2].strip("`")
            raise Refused(f"{name} is missing. It is required.", code="parameter_missing", param=name) from None
        raise Refused(
            f"{param or 'The arguments'}: {said.replace('`', '')}.", code="invalid_parameter", param=param
        ) from None
