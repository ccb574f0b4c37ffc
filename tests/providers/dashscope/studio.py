"""What tests of the adapter share: orders, jobs, models, and the provider of a connection as a catalog opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safelight.domain.catalog import Catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order
from safelight.providers.dashscope.provider import KIND, DashScopeProvider
from safelight.providers.dashscope.settings import Options
from safelight.providers.noop import png
from safelight.providers.registry import KINDS, check_binding
from tests.providers.dashscope.fake import KEY, Fake
from tests.support.jobs import a_job, an_order

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
PICTURE_URL = Reference(role="first_frame", mime_type="image/png", data=png()).data_url()


@asynccontextmanager
async def provider_of(fake: Fake, **settings: Any) -> AsyncIterator[DashScopeProvider]:
    catalog = catalog_of({"base_url": fake.base_url, **settings})
    host = Host(data_dir=Path("/nowhere"), render_processes=1, read_secret=lambda _: fake.key)
    provider = KIND.open(catalog.connections["theirs"].settings, host)
    assert isinstance(provider, DashScopeProvider)
    try:
        yield provider
    finally:
        await provider.close()


def catalog_of(connection: dict[str, Any] | None = None, **model: Any) -> Catalog:
    """One picture's model of theirs, unless ``model`` says otherwise: ``binding`` is its binding."""
    binding = {"connection": "theirs", "model": "qwen-image-plus", **model.pop("binding", {})}
    ratios, resolutions = model.get("aspect_ratios", ["1:1"]), model.get("resolutions", ["1K"])
    entry = {
        "id": "ours",
        "name": "Ours",
        "type": "image",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "aspect_ratios": ratios,
        "resolutions": resolutions,
        "sizes": {resolution: dict.fromkeys(ratios, "64x64") for resolution in resolutions},
        "rates": [{"unit_price": "0.05"}],
        "bindings": [binding],
        **({"durations": [5]} if model.get("type") == "video" else {}),
        **model,
    }
    declared = {"name": "theirs", "kind": "dashscope", "key": "env:DASHSCOPE_API_KEY", **(connection or {})}
    return read_catalog({"connections": [declared], "models": [entry]}, source="shop.toml", kinds=KINDS)


def check(catalog: Catalog) -> None:
    """Find what would keep the model from being served. Raises ``ConfigurationError``."""
    host = Host(data_dir=Path("/nowhere"), render_processes=1, read_secret=lambda _: KEY)
    model = catalog.models["ours"]
    check_binding(catalog, model, 0, model.bindings[0], host)


def order(type_: GenerationType = IMAGE, *roles: ReferenceRole, **spec: Any) -> Order:
    shape = {} if type_ is IMAGE else {"aspect_ratio": "16:9", "resolution": "720p", "width": 1280, "height": 720}
    references = tuple(Reference(role=role, mime_type="image/png", data=png()) for role in roles)
    return an_order(type_, references=references, **{"prompt": "a fox", **shape, **spec})


def job(type_: GenerationType = IMAGE, model: str = "qwen-image-plus", **facts: Any) -> Job[Options]:
    """``options`` are the binding's, ``size_word`` its word; the rest is the job's own."""
    options = Options(**facts.pop("options", {}))
    return a_job(Path("/nowhere"), options, type_=type_, upstream_model=model, **facts)
