"""What tests of the adapter share: orders, jobs, and the provider of a connection as a catalog opens it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.catalog import Catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.outcomes import Accepted
from safelight.domain.ports import Asked, Host, Job
from safelight.domain.request import Order
from safelight.providers.ark.provider import ArkProvider
from safelight.providers.ark.settings import Options
from safelight.providers.noop import png
from safelight.providers.registry import KINDS, OpenBackends, check_connections
from tests.providers.ark.fake import FakeArk
from tests.support.jobs import a_job, an_order

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
IMAGE_MODEL, VIDEO_MODEL = "seedream-4-5-251128", "seedance-1-5-pro-251215"
FLEX = Options(service_tier="flex", execution_expires_after=7200)


def entry(type_: GenerationType = IMAGE, **more: Any) -> dict[str, Any]:
    """A model of ours that is bound to the vendor's."""
    is_video = type_ is VIDEO
    given = {
        "id": "ours",
        "name": "Ours",
        "type": type_.value,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "aspect_ratios": ["16:9", "1:1"],
        "resolutions": ["720p"] if is_video else ["2K"],
        "references": {"first_frame": 1, "last_frame": 1} if is_video else {"reference_image": 4},
        "rates": [{"unit_price": "0.05"}],
        **({"durations": [5]} if is_video else {}),
        **{name: value for name, value in more.items() if name not in ("options", "binding")},
    }
    binding = {"connection": "ark", "model": VIDEO_MODEL if is_video else IMAGE_MODEL, **more.get("binding", {})}
    pixels = {"16:9": "1280x720", "1:1": "960x960"} if is_video else {"16:9": "2560x1440", "1:1": "2048x2048"}
    sizes = {each: {ratio: pixels.get(ratio, "2048x2048") for ratio in given["aspect_ratios"]}
             for each in given["resolutions"]}  # fmt: skip
    return {"sizes": sizes, "bindings": [{**binding, "options": more.get("options", {})}], **given}


def catalog_of(*models: dict[str, Any], base_url: str = "http://127.0.0.1:9/api/v3", **settings: Any) -> Catalog:
    connection = {"name": "ark", "kind": "ark", "base_url": base_url, "key": "env:ARK_API_KEY", **settings}
    read = read_catalog(
        {"connections": [connection], "models": list(models) or [entry()]}, source="shop.toml", kinds=KINDS
    )
    check_connections(read, host_of("k"))
    return read


def host_of(key: str) -> Host:
    return Host(data_dir=Path("/nowhere"), render_processes=1, read_secret=lambda _: key)


@asynccontextmanager
async def provider_of(fake: FakeArk, key: str | None = None, **settings: Any) -> AsyncIterator[Any]:
    read = catalog_of(base_url=settings.pop("base_url", fake.base_url), **settings)
    backends = OpenBackends(read, host_of(key or fake.key))
    provider = backends.open("ark").provider
    assert isinstance(provider, ArkProvider)
    try:
        yield provider
    finally:
        await backends.close()


def references(*roles: ReferenceRole) -> tuple[Reference, ...]:
    return tuple(Reference(role=role, mime_type="image/png", data=png()) for role in roles)


def image_order(count: int = 0, **spec: Any) -> Order:
    given = references(*["reference_image"] * count)  # type: ignore[arg-type]
    shape = {"prompt": "a red fox", "aspect_ratio": "16:9", "resolution": "2K", "width": 2560, "height": 1440}
    return an_order(IMAGE, references=given, **{**shape, **spec})


def video_order(*roles: ReferenceRole, **spec: Any) -> Order:
    shape = {"prompt": "a red fox", "aspect_ratio": "16:9", "resolution": "720p", "width": 1280, "height": 720}
    given = {"duration_seconds": 5, "sound": False}
    return an_order(VIDEO, references=references(*roles), **{**shape, **given, **spec})


def job_of(type_: GenerationType = IMAGE, id_: str = "req-1", options: Options | None = None, **more: Any) -> Job[Any]:
    facts = {
        "upstream_model": VIDEO_MODEL if type_ is VIDEO else IMAGE_MODEL,
        "reference_url": lambda index: f"https://safelight.example/{id_}/{index}/reference",
        "callback_url": f"https://safelight.example/{id_}/callback",
        "make_workdir": lambda: Path(tempfile.mkdtemp(prefix="ark-")),
        **more,
    }
    return a_job(Path("/nowhere"), options or Options(), id_=id_, type_=type_, **facts)


async def accepted(
    provider: Any, *roles: Any, id_: str = "req-1", options: Options | None = None, **spec: Any
) -> Asked:
    job = job_of(VIDEO, id_, options)
    outcome = await provider.submit(video_order(*roles, **spec), job)
    assert isinstance(outcome, Accepted), outcome
    return Asked(msgspec.json.decode(msgspec.json.encode(outcome.handle)), job)
