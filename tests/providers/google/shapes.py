"""The bodies of orders that the official client sends: names at every depth, and the types of their values."""

from __future__ import annotations

from typing import Any

_PART = {"text": str, "inlineData": {"mimeType": str, "mime_type": str, "data": str}}
_CONTENT_CONFIG = {
    "responseModalities": list,
    "imageConfig": {"aspectRatio": str, "imageSize": str},
    "seed": int,
    "temperature": (int, float),
    "topP": (int, float),
}
GENERATE = {
    "contents": [{"role": str, "parts": [_PART]}],
    "generationConfig": _CONTENT_CONFIG,
    "safetySettings": list,
    "serviceTier": str,
    "labels": dict,
}
INTERACTION = {
    "model": str,
    "input": (str, list),
    "background": bool,
    "store": bool,
    "stream": bool,
    "response_format": {
        "type": str,
        "aspect_ratio": str,
        "resolution": str,
        "image_size": str,
        "duration": str,
        "delivery": str,
        "gcs_uri": str,
        "mime_type": str,
    },
    "generation_config": {
        "seed": int,
        "temperature": (int, float),
        "top_p": (int, float),
        "video_config": {"task": str},
    },
    "service_tier": str,
    "labels": dict,
}
_IMAGE = {"bytesBase64Encoded": str, "gcsUri": str, "mimeType": str}
VEO = {
    "instances": [
        {
            "prompt": str,
            "image": _IMAGE,
            "lastFrame": _IMAGE,
            "referenceImages": [{"image": _IMAGE, "referenceType": str}],
        }
    ],
    "parameters": {
        "sampleCount": int,
        "durationSeconds": int,
        "aspectRatio": str,
        "resolution": str,
        "seed": int,
        "negativePrompt": str,
        "generateAudio": bool,
        "enhancePrompt": bool,
        "personGeneration": str,
        "storageUri": str,
    },
    "labels": dict,
}


class Refusal(Exception):
    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message, self.field = message, field


def check(value: Any, shape: Any, where: str = "") -> None:
    """Whether a body has a shape, and nothing else. Raises ``Refusal``."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                raise Refusal(f"Invalid value at '{where}'", where)
            for name, inner in value.items():
                if name not in shape:
                    message = f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot find field."
                    raise Refusal(message, where)
                check(inner, shape[name], f"{where}.{name}".lstrip("."))
        case [inner]:
            if not isinstance(value, list):
                raise Refusal(f"Invalid value at '{where}'", where)
            for position, item in enumerate(value):
                check(item, inner, f"{where}[{position}]")
        case _:
            if not isinstance(value, shape):
                raise Refusal(f"Invalid value at '{where}'", where)
