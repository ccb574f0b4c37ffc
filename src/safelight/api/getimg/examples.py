"""Values that people read in the reference: by field, or by struct and field where a field means several things."""

from __future__ import annotations

from typing import Any

from safelight.domain.events import EventType

GENERATION_ID = "req-01KQM2V7T6E8RZ4N5C9XW3YHBD"
EVENT_ID = "evt_019de8a31f407b2f4c6d8e1a903b5c7d"
_LINK = f"https://media.example.com/v2/downloads/{GENERATION_ID}/0"
_EXP, _SIG = 1778329800, "5f0c…"
_QUERY = f"exp={_EXP}&sig={_SIG}"

VALUES: dict[str, Any] = {
    "id": GENERATION_ID,
    "url": f"{_LINK}?{_QUERY}",
    "thumbnail_url": f"{_LINK}/thumbnail?{_QUERY}",
    "width": 2736,
    "height": 1536,
    "created_at": "2026-05-02T12:29:57.104Z",
    "finished_at": "2026-05-02T12:30:00.000Z",
    "deletes_at": "2026-05-09T12:30:00.000Z",
    "model": "seedream-5-lite",
    "aspect_ratio": "16:9",
    "resolution": "2K",
    "prompt": "A watercolor painting of a mountain village at dawn",
    "total_cost": 0.035,
    "unit_price": 0.035,
    "quantity": 1,
    "duration": 10,
    "fps": 24,
    "balance": "12.34",
    "start": "2026-05-01T00:00:00.000Z",
    "end": "2026-05-02T12:30:00.000Z",
    "date": "2026-05-02",
    "cost": 0.035,
    "checks": {"database": "ok", "migrations": "ok", "store": "ok"},
    "ErrorDetail.code": "invalid_parameter",
    "index": 0,
    "exp": _EXP,
    "sig": _SIG,
    "deleted_at": "2026-05-09T12:30:02.417Z",
    "mime_type": "image/png",
    "size_bytes": 4_186_021,
    "sha256": "9f86d081884c7d65…",
    "jws": "eyJhbGciOiJFUzI1NiJ9…",
    "VideoFile.mime_type": "video/mp4",
    "VideoFile.width": 1920,
    "VideoFile.height": 1080,
    "CompletedVideo.model": "seedance-v1-pro",
    "CompletedVideo.usage": {
        "total_cost": 0.7,
        "billable_unit": "video_second",
        "unit_price": 0.07,
        "quantity": 10,
    },
    "ModelEntry.id": "seedream-5-lite",
    "ModelEntry.name": "Seedream 5 Lite",
    "ModelEntry.created_at": "2026-01-20T00:00:00.000Z",
    "ModelEntry.supported_aspect_ratios": ["1:1", "16:9", "9:16"],
    "ModelEntry.supported_resolutions": ["2K", "1K", "4K"],
    "ModelEntry.supported_durations": [],
    "ModelEntry.supported_references": {"reference_image": 8},
    "ModelEntry.supports_sound": False,
    "RateEntry.unit_price": "0.035",
    "RateEntry.sound": "not_applicable",
    "Quote.duration": None,
    "Quote.sound": None,
    "TestEvent.id": EVENT_ID,
    "TestEvent.type": "generation.completed",
    "GenerationError.code": "generation_failed",
    "GenerationError.message": "The backend could not make this generation. Nothing was charged.",
}

BODIES: dict[str, dict[str, Any]] = {
    "ImageGenerationBody": {
        "model": "seedream-5-lite",
        "prompt": "A watercolor painting of a mountain village at dawn",
        "aspect_ratio": "16:9",
    },
    "VideoGenerationBody": {
        "model": "seedance-v1-pro",
        "prompt": "A timelapse of clouds rolling over a mountain peak",
        "duration": 10,
        "sound": True,
    },
    "TestEventBody": {"type": "generation.completed"},
}

_FAILED = {"id": GENERATION_ID, "status": "failed"}
EVENTS: dict[EventType, dict[str, Any]] = {
    EventType.GENERATION_COMPLETED: {
        "id": GENERATION_ID,
        "status": "completed",
        "model": VALUES["model"],
        "data": [
            {name: VALUES[name] for name in ("url", "width", "height", "mime_type", "deletes_at", "thumbnail_url")},
        ],
        "usage": {"total_cost": 0.035, "billable_unit": "image", "unit_price": 0.035, "quantity": 1},
    },
    EventType.GENERATION_FAILED: {
        **_FAILED,
        "error": {name: VALUES[f"GenerationError.{name}"] for name in ("code", "message")},
    },
    EventType.GENERATION_CANCELED: {**_FAILED, "error": {"code": "canceled", "message": "The video was canceled."}},
    EventType.MODERATION_REFUSED: {"category": "violence", "param": "prompt"},
    EventType.BALANCE_LOW: {"balance": VALUES["balance"], "currency": "USD"},
}
"""The data of test events. The generation is nobody's, and its links lead nowhere."""
