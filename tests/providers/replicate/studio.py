"""A connection to the fake, opened as a catalog has it, and orders and jobs for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.catalog import Catalog, Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order
from safelight.providers.noop import png
from safelight.providers.registry import KINDS
from safelight.providers.replicate.provider import KIND, ReplicateProvider
from safelight.providers.replicate.settings import Options
from tests.providers.replicate.fake import KEY, FakeReplicate
from tests.providers.replicate.models import CLIP_VERSION
from tests.support.jobs import a_job, an_order

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
PICTURE_FIELDS: dict[str, Any] = {
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "size": "size",
    "references": "image_input",
    "output_format": "output_format",
    "output_format_words": {"jpeg": "jpg"},
}
CLIP_FIELDS: dict[str, Any] = {
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "aspect_ratio": "aspect_ratio",
    "resolution": "resolution",
    "duration": "duration",
    "sound": "generate_audio",
    "first_frame": "image",
    "last_frame": "last_frame_image",
}
UPSTREAM = {IMAGE: "studio/picture", VIDEO: f"artist/clip:{CLIP_VERSION}"}


def host(key: str = KEY, **secrets: str) -> Host:
    def read(secret: Any) -> str:
        return secrets.get(secret.name, key)

    return Host(data_dir=Path("/nonexistent"), render_processes=1, read_secret=read)


def entry(type_: GenerationType = IMAGE, binding: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A model of ours, of the smallest sizes, bound to the fake's of that type."""
    fields = PICTURE_FIELDS if type_ is IMAGE else CLIP_FIELDS
    is_image = type_ is IMAGE
    bound = {"connection": "replicate", "model": UPSTREAM[type_], "options": {"fields": fields}, **(binding or {})}
    return {
        "id": "ours",
        "name": "Ours",
        "type": type_.value,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "aspect_ratios": ["1:1"],
        "resolutions": ["1K"],
        "sizes": {"1K": {"1:1": "64x64"}},
        "rates": [{"unit_price": "0.05"}],
        "supports_seed": True,
        "supports_negative_prompt": True,
        "references": {"reference_image": 2} if is_image else {"first_frame": 1, "last_frame": 1},
        "bindings": [bound],
        **({} if is_image else {"durations": [2, 4], "supports_sound": True}),
        **more,
    }


def catalog(connection: dict[str, Any], *models: dict[str, Any]) -> Catalog:
    document = {"connections": [connection], "models": list(models) or [entry()]}
    return read_catalog(document, source="shop.toml", kinds=KINDS)


def model_at(fake: FakeReplicate, type_: GenerationType = IMAGE, **more: Any) -> Model:
    return catalog(fake.connection(), entry(type_, **more)).models["ours"]


@asynccontextmanager
async def opened(fake: FakeReplicate, key: str = KEY, **settings: Any) -> AsyncIterator[ReplicateProvider]:
    declared = catalog(fake.connection(**settings))
    provider = KIND.open(declared.connections["replicate"].settings, host(key, HOOK_KEY=fake.secret))
    assert isinstance(provider, ReplicateProvider)
    yield provider
    await provider.close()


def order(type_: GenerationType = IMAGE, *roles: ReferenceRole, data: bytes | None = None, **spec: Any) -> Order:
    references = tuple(Reference(role=role, mime_type="image/png", data=data or png()) for role in roles)
    return an_order(type_, references=references, **spec)


def job(
    type_: GenerationType = IMAGE, id_: str = "req-1", *, options: dict[str, Any] | None = None, **more: Any
) -> Job[Options]:
    fields = PICTURE_FIELDS if type_ is IMAGE else CLIP_FIELDS
    read = msgspec.convert({"fields": fields, **(options or {})}, Options)
    given = {
        "upstream_model": UPSTREAM[type_],
        "reference_url": lambda index: f"https://safelight.example/{id_}/{index}/reference",
        "callback_url": f"https://safelight.example/v2/hints/replicate/{id_}?until=1&signature=s",
        **more,
    }
    return a_job(Path("/nonexistent"), read, id_=id_, type_=type_, **given)
