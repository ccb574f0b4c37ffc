"""The tools as hosts see them: what they take, what they answer, and what they do to the world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from mcp_types import Tool, ToolAnnotations

from safelight.mcp.api import Json
from safelight.mcp.arguments import (
    Arguments,
    CancelArguments,
    GetArguments,
    ImageArguments,
    ListArguments,
    ModelsArguments,
    NoArguments,
    QuoteArguments,
    VideoArguments,
)

_TEXT, _NUMBER, _WHOLE, _FLAG = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))
_TEXTS = {"type": "array", "items": _TEXT}


def _object(required: Sequence[str], **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def _listed(item: Json) -> Json:
    return {"type": "array", "items": item}


_ERROR = _object(["code", "message"], code=_TEXT, message=_TEXT, param={"type": ["string", "null"]})
_USAGE = _object(
    ["total_cost"],
    total_cost={**_NUMBER, "description": "US dollars."},
    billable_unit=_TEXT,
    unit_price=_NUMBER,
    quantity=_NUMBER,
)
_FILE = _object(
    ["url", "mime_type", "deletes_at"],
    url={**_TEXT, "description": "Signed download link; works until deletes_at, without a key."},
    width=_WHOLE,
    height=_WHOLE,
    mime_type=_TEXT,
    deletes_at={**_TEXT, "description": "When the file is deleted (ISO 8601, UTC)."},
    duration={**_NUMBER, "description": "Seconds, of a video."},
    fps=_NUMBER,
    has_sound=_FLAG,
    thumbnail_url=_TEXT,
)
_GENERATION = _object(
    ["id", "status"],
    id=_TEXT,
    type={"enum": ["image", "video"]},
    status={"enum": ["pending", "completed", "failed"]},
    progress={**_NUMBER, "description": "From 0 to 1, while it is pending."},
    model=_TEXT,
    created_at=_TEXT,
    data={**_listed(_FILE), "description": "The files, once it is completed."},
    usage={**_USAGE, "description": "What was charged, once it is completed."},
    seed=_WHOLE,
    error={**_ERROR, "description": "Why it failed. Then nothing was charged."},
    paths={**_TEXTS, "description": "Where the files are, on the machine that runs 'safelight mcp'."},
)
_MODEL = _object(
    ["id", "type"],
    id=_TEXT,
    name=_TEXT,
    type={"enum": ["image", "video"]},
    supported_aspect_ratios=_TEXTS,
    supported_resolutions=_TEXTS,
    supported_durations=_listed(_NUMBER),
    supported_references={"type": "object", "description": "Role to the most pictures of it."},
    supports_sound=_FLAG,
    supports_seed=_FLAG,
    supports_negative_prompt=_FLAG,
    pricing={"type": "object"},
)
_QUOTE = _object(
    ["model", "usage", "total_cost", "is_covered"],
    model=_TEXT,
    aspect_ratio=_TEXT,
    resolution=_TEXT,
    width=_WHOLE,
    height=_WHOLE,
    usage={**_USAGE, "description": "Of one."},
    count=_WHOLE,
    total_cost={**_NUMBER, "description": "US dollars, of all."},
    is_covered={**_FLAG, "description": "Whether the balance covers it now."},
)

_ORDERS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_CANCELS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
_SPENDS = "It spends the workspace's credit; quote tells how much before."


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A tool without what depends on the catalog. ``type``: of the models whose values its parameters take."""

    title: str
    description: str
    takes: type[Arguments]
    answers: Json
    annotations: ToolAnnotations
    type: str | None = None


SHAPES: dict[str, Shape] = {
    "generate_image": Shape(
        title="Make images",
        description=f"Make one to four images of a prompt, and show them. {_SPENDS} If they take long, the answer has "
        "the ids of what is still being made: get_generation waits for those.",
        takes=ImageArguments,
        answers=_object(["generations"], generations=_listed(_GENERATION), errors=_listed(_ERROR)),
        annotations=_ORDERS,
        type="image",
    ),
    "generate_video": Shape(
        title="Make a video",
        description=f"Make a video of a prompt. {_SPENDS} It takes minutes: the answer may be its id alone, and "
        "get_generation waits for its end. It goes on whether or not anybody waits; cancel_generation ends it.",
        takes=VideoArguments,
        answers=_GENERATION,
        annotations=_ORDERS,
        type="video",
    ),
    "quote": Shape(
        title="Tell a price",
        description="Tell what an image or a video would cost, to the last digit, and whether the balance covers it. "
        "Nothing is spent.",
        takes=QuoteArguments,
        answers=_QUOTE,
        annotations=_READS,
        type="",
    ),
    "list_models": Shape(
        title="List models",
        description="List the models with the sizes, lengths and pictures to go by that each takes, and their prices. "
        "The first of each list is the default.",
        takes=ModelsArguments,
        answers=_object(["models"], models=_listed(_MODEL)),
        annotations=_READS,
    ),
    "get_generation": Shape(
        title="Look at a generation",
        description="Show an image or a video as it stands: its picture, link and cost once it is made. With "
        "wait_seconds it waits for the end.",
        takes=GetArguments,
        answers=_GENERATION,
        annotations=_READS,
    ),
    "list_generations": Shape(
        title="List generations",
        description="List the images and videos of the workspace, newest first. get_generation shows one.",
        takes=ListArguments,
        answers=_object(["data", "has_more"], data=_listed(_GENERATION), has_more=_FLAG),
        annotations=_READS,
    ),
    "cancel_generation": Shape(
        title="Cancel a video",
        description="Cancel a video that is being made, as far as it still can be. What it was to cost is released.",
        takes=CancelArguments,
        answers=_object(
            ["id", "status", "cancellation"],
            id=_TEXT,
            status={"enum": ["pending", "completed", "failed"]},
            cancellation={"enum": ["canceled", "requested", "too_late"]},
        ),
        annotations=_CANCELS,
    ),
    "get_balance": Shape(
        title="Tell the balance",
        description="Tell what the workspace may still spend, in US dollars.",
        takes=NoArguments,
        answers=_object(["balance", "currency"], balance=_TEXT, currency=_TEXT),
        annotations=_READS,
    ),
}
"""The tools, in the order in which they are listed."""


def tools_of(models: Sequence[Json]) -> list[Tool]:
    """The tools, with what the catalog's models take as the values of their parameters."""
    return [
        Tool(
            name=name,
            title=shape.title,
            description=shape.description,
            input_schema=_with_choices(input_schema(name), _of_type(models, shape.type)),
            output_schema=shape.answers,
            annotations=shape.annotations,
        )
        for name, shape in SHAPES.items()
    ]


def input_schema(name: str) -> Json:
    """What a tool takes, whatever the catalog has."""
    takes = SHAPES[name].takes
    schema: Json = msgspec.json.schema(takes)["$defs"][takes.__name__]
    return {
        "type": "object",
        "properties": {field: _typed(value) for field, value in schema["properties"].items()},
        "required": schema["required"],
        "additionalProperties": False,
    }


def _typed(value: Json) -> Json:
    """With the type of its choices, which not every host finds out by itself."""
    return {"type": "string", **value} if "enum" in value else value


def _of_type(models: Iterable[Json], type_: str | None) -> list[Json]:
    return [] if type_ is None else [model for model in models if type_ in ("", model["type"])]


def _with_choices(schema: Json, models: list[Json]) -> Json:
    if models:
        choices: dict[str, list[Any]] = {"model": [model["id"] for model in models]}
        for name in ("aspect_ratio", "resolution", "duration"):
            choices[name] = list(dict.fromkeys(value for model in models for value in model[f"supported_{name}s"]))
        for name, values in choices.items():
            if name in schema["properties"] and values:
                schema["properties"][name]["enum"] = values
    return schema
