"""Orders and jobs as the lifecycle hands them to an adapter, for tests that call one through its port."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.connections import NoOptions
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.ports import Job
from safelight.domain.request import Order, Spec

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO


def order(prompt: str, type_: GenerationType = IMAGE, *references: Reference, **spec: Any) -> Order:
    """An order of 2K 16:9, or of two seconds of 720p 16:9, unless ``spec`` says otherwise."""
    if type_ is IMAGE:
        given = {"resolution": "2K", "width": 64, "height": 64, "output_format": "png", **spec}
    else:
        given = {"resolution": "720p", "width": 64, "height": 64, "duration_seconds": 2, "sound": False, **spec}
    described = msgspec.convert({"prompt": prompt, "aspect_ratio": "16:9", **given}, Spec)
    return Order(id="req-1", type=type_, model="ours", spec=described, references=references)


def job(type_: GenerationType = IMAGE, id_: str = "req-1", **facts: Any) -> Job[Any]:
    given: dict[str, Any] = {
        "generation_id": id_.partition(".")[0],
        "upstream_model": "picture-1" if type_ is IMAGE else "clip-1",
        "options": NoOptions(),
        "submitted_at": datetime.now(UTC),
        "workdir": Path("/nonexistent"),
        "progress": lambda _: None,
        "reference_url": lambda index: f"https://safelight.example/{id_}/{index}/reference",
        "callback_url": f"https://safelight.example/{id_}/callback",
        **facts,
    }
    return Job(id=id_, type=type_, **given)
