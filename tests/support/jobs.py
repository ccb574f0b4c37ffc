"""Orders and jobs as a run makes them, to call an adapter with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.ports import Job
from safelight.domain.request import Order, Spec


def an_order(
    type_: GenerationType = GenerationType.IMAGE,
    id_: str = "req-1",
    references: tuple[Reference, ...] = (),
    **spec: Any,
) -> Order:
    """An order of 64 by 64 pixels, or a clip of two seconds, unless ``spec`` says otherwise."""
    of_type = {"output_format": "png"} if type_ is GenerationType.IMAGE else {"duration_seconds": 2}
    facts = {"prompt": "a hill", "aspect_ratio": "1:1", "resolution": "1K", "width": 64, "height": 64}
    return Order(id=id_, type=type_, model="m", spec=Spec(**{**facts, **of_type, **spec}), references=references)


def a_job(
    workdir: Path,
    options: msgspec.Struct,
    *,
    id_: str = "req-1",
    type_: GenerationType = GenerationType.IMAGE,
    upstream_model: str = "m",
    progress: list[float] | None = None,
    **more: Any,
) -> Job[Any]:
    """The job of an order. ``progress`` takes what is told of it."""
    told = progress if progress is not None else []
    facts: dict[str, Any] = {
        "id": id_,
        "generation_id": id_.partition(".")[0],
        "type": type_,
        "upstream_model": upstream_model,
        "options": options,
        "submitted_at": datetime.now(UTC),
        "make_workdir": lambda: workdir,
        "progress": told.append,
        "reference_url": lambda index: f"http://127.0.0.1:1/reference/{index}",
        "callback_url": "http://127.0.0.1:1/hint",
    }
    return Job(**{**facts, **more})
