"""What the fake offers: models with schemas as Cog writes them, what they make, and how orders are declined."""

from __future__ import annotations

import json
from typing import Any

VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
CLIP_VERSION = "39ed52f2a60c3b36b4632b68fb2c65d4e6c37eca3bb2dd656ab9ae8e0c4f2c6d"
RATIOS, RESOLUTIONS = ["1:1", "16:9"], ["1K", "720p"]

_COMMON: dict[str, dict[str, Any]] = {
    "prompt": {"type": "string", "title": "Prompt"},
    "negative_prompt": {"type": "string", "default": ""},
    "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 28},
}
PICTURE = {
    **_COMMON,
    "size": {"type": "string"},
    "image_input": {"type": "array", "items": {"type": "string", "format": "uri"}, "default": []},
    "output_format": {"allOf": [{"$ref": "#/components/schemas/output_format"}], "default": "webp"},
}
CLIP = {
    **_COMMON,
    "aspect_ratio": {"allOf": [{"$ref": "#/components/schemas/aspect_ratio"}], "default": "16:9"},
    "resolution": {"enum": RESOLUTIONS, "type": "string"},
    "duration": {"type": "integer", "minimum": 2, "maximum": 10},
    "generate_audio": {"type": "boolean", "default": True},
    "image": {"type": "string", "format": "uri"},
    "last_frame_image": {"type": "string", "format": "uri"},
}
ENUMS = {
    "output_format": {"enum": ["webp", "jpg", "png"], "type": "string"},
    "aspect_ratio": {"enum": RATIOS, "type": "string"},
}


def version_of(id_: str, keys: dict[str, Any]) -> dict[str, Any]:
    """A version, as ``models.versions.get`` tells it."""
    schemas = {"Input": {"type": "object", "required": ["prompt"], "properties": keys}, **ENUMS}
    document = {"openapi": "3.0.2", "components": {"schemas": schemas}}
    return {
        "id": id_,
        "created_at": "2026-04-26T19:29:04.418669Z",
        "cog_version": "0.11.3",
        "openapi_schema": document,
    }


KEYS = {VERSION: PICTURE, CLIP_VERSION: CLIP}
MODELS: dict[str, tuple[str, bool]] = {"studio/picture": (VERSION, True), "artist/clip": (CLIP_VERSION, False)}
"""Version, and whether the model is an official one, by ``owner/name``."""
DEPLOYMENTS: dict[str, str] = {"studio/pictures": "studio/picture"}


def problem(status: int, title: str, detail: str, **more: Any) -> tuple[int, str, dict[str, str]]:
    return status, json.dumps({"title": title, "detail": detail, "status": status, **more}), {}


def _throttled(detail: str, headers: dict[str, str] | None = None, **more: Any) -> tuple[int, str, dict[str, str]]:
    return 429, json.dumps({"detail": detail, **more}), headers or {}


DECLINES: dict[str, tuple[int, str, dict[str, str]]] = {
    "unpaid": problem(402, "Insufficient credit", "You have insufficient credit to run this model. Key {key}."),
    "spent": problem(403, "Spend limit", "You have reached your monthly spend limit."),
    "unauthenticated": problem(401, "Unauthenticated", "You did not pass a valid token: {key}."),
    "forbidden": problem(403, "Forbidden", "You do not have permission."),
    "throttled": _throttled("Request was throttled. Your rate limit resets in ~30s."),
    "throttled_old": _throttled("Request was throttled. Expected available in 1 second."),
    "throttled_low": _throttled("Request was throttled, {key}.", status=429, retry_after=1),
    "throttled_header": _throttled("Request was throttled.", {"Retry-After": "7"}),
    "refused": problem(422, "Input validation failed", "The input was flagged as sensitive. (E005)"),
    "bad_prompt": problem(
        422,
        "Input validation failed",
        "- input.prompt: String length must be less than or equal to 10",
        invalid_fields=[{"type": "string_lte", "field": "input.prompt", "description": "Too long"}],
    ),
    "bad_size": problem(422, "Input validation failed", '- input.size: must be one of "1024x1024"'),
    "unknown_key": problem(422, "Input validation failed", "- input: Additional property foo is not allowed"),
    "bad_version": problem(422, "Invalid version or not permitted", "The specified version does not exist."),
    "bad_webhook": problem(422, "Invalid webhook", "The webhook must be an HTTPS URL."),
    "refused_by_code": problem(400, "Prediction failed", "Try again with other inputs. (E005)"),
    "odd_prompt": problem(422, "Input validation failed", "- input.prompt: this version takes no emoji"),
    "wordless": (400, "", {}),
    "gone": problem(404, "Not found", "The requested resource could not be found."),
    "breaks": problem(503, "Service unavailable", "Later, {key}."),
    "bad_gateway": (502, "<html>502 {key}</html>", {"Content-Type": "text/html"}),
    "failed_at_once": (201, '{"id": "p1", "status": "failed", "error": "NSFW, {key}"}', {}),
    "aborted_at_once": (201, '{"id": "p1", "status": "aborted"}', {}),
    "page": (200, "<html>hello {key}</html>", {"Content-Type": "text/html"}),
    "listed": (201, "[]", {}),
    "nameless": (201, '{"status": "starting"}', {}),
    "odd_id": (201, '{"id": 7, "status": "starting"}', {}),
    "error_in_200": (200, '{"detail": "Something went wrong, {key}."}', {}),
    "empty": (201, "", {}),
}
"""What an order gets: status, body, headers."""
