"""What tests of the kind ``fal`` share: maps of the stand-in's two models, orders, jobs, an opened connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order
from safelight.providers.fal import KIND
from safelight.providers.fal.provider import FalProvider
from safelight.providers.fal.settings import Options
from tests.providers.fal.fake import IMAGES, KEY, VIDEOS, FakeFal
from tests.providers.openai.media import picture
from tests.support.jobs import a_job, an_order

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO

IMAGE_OPTIONS: dict[str, Any] = {
    "fields": {
        "negative_prompt": "negative_prompt",
        "seed": "seed",
        "width": "image_size.width",
        "height": "image_size.height",
        "references": "image_urls",
        "output_format": "output_format",
    },
    "input": {"num_images": 1, "enable_safety_checker": True},
}
VIDEO_OPTIONS: dict[str, Any] = {
    "fields": {
        "negative_prompt": "negative_prompt",
        "seed": "seed",
        "aspect_ratio": "aspect_ratio",
        "resolution": "resolution",
        "duration": "duration",
        "duration_as": "text",
        "sound": "generate_audio",
        "first_frame": "image_url",
        "last_frame": "end_image_url",
    },
}


def options(type_: GenerationType = IMAGE, **more: Any) -> Options:
    given = IMAGE_OPTIONS if type_ is IMAGE else VIDEO_OPTIONS
    return msgspec.convert({**given, **more}, Options)


def open_provider(fake: FakeFal, key: str = KEY, **settings: Any) -> FalProvider:
    given = {"base_url": fake.base_url, "jwks_url": fake.jwks_url, "models_url": fake.models_url, **settings}
    read = msgspec.convert({"key": KIND_KEY, **given}, KIND.settings, dec_hook=lambda kind, value: kind(value))
    host = Host(data_dir=Path("/nonexistent"), render_processes=1, read_secret=lambda _: key)
    provider = KIND.open(read, host)
    assert isinstance(provider, FalProvider)
    return provider


KIND_KEY = "env:FAL_KEY"


def order(prompt: str, type_: GenerationType = IMAGE, *roles: ReferenceRole, **spec: Any) -> Order:
    """A square picture, or a clip of two seconds in 720p."""
    references = tuple(
        Reference(role=role, mime_type="image/png", data=picture(16, 16, seed=at)) for at, role in enumerate(roles)
    )
    of_type = {} if type_ is IMAGE else {"resolution": "720p"}
    return an_order(type_, references=references, **{"prompt": prompt, **of_type, **spec})


def job(type_: GenerationType = IMAGE, id_: str = "req-1", *, workdir: Path | None = None, **facts: Any) -> Job[Any]:
    given = {
        "upstream_model": IMAGES if type_ is IMAGE else VIDEOS,
        "reference_url": lambda index: f"https://safelight.example/{id_}/{index}/reference",
        "callback_url": f"https://safelight.example/v2/hints/fal/{id_}?sig=a&b=c",
        **facts,
    }
    chosen = given.pop("options", None) or options(type_)
    return a_job(workdir or Path("/nonexistent"), chosen, id_=id_, type_=type_, **given)
