"""Orders and jobs for the kind ``getimg``, of sizes that the stand-in and the contract's test server make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safelight.domain.connections import NoOptions
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.ports import Job
from safelight.domain.request import Order
from tests.support.jobs import a_job, an_order

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO


def order(prompt: str, type_: GenerationType = IMAGE, *references: Reference, **spec: Any) -> Order:
    """An image of 2K, or a silent clip of 720p, in 16:9, unless ``spec`` says otherwise."""
    of_type = {"resolution": "2K"} if type_ is IMAGE else {"resolution": "720p", "sound": False}
    return an_order(type_, references=references, **{"prompt": prompt, "aspect_ratio": "16:9", **of_type, **spec})


def job(type_: GenerationType = IMAGE, id_: str = "req-1", **facts: Any) -> Job[Any]:
    given = {
        "upstream_model": "picture-1" if type_ is IMAGE else "clip-1",
        "reference_url": lambda index: f"https://safelight.example/{id_}/{index}/reference",
        "callback_url": f"https://safelight.example/{id_}/callback",
        **facts,
    }
    return a_job(Path("/nonexistent"), NoOptions(), id_=id_, type_=type_, **given)
