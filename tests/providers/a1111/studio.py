"""What tests of the adapter share: orders, jobs, and the provider of a connection as a catalog opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.domain.connection_reader import read_struct
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.outcomes import Completed, InlineBytes, LocalFile
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order
from safelight.node.secrets import read_secret
from safelight.providers.a1111.provider import KIND, JobsProvider, WebUiProvider
from safelight.providers.a1111.settings import Options, ServerSettings
from tests.providers.a1111.fake import FakeServer
from tests.providers.a1111.media import picture
from tests.support.jobs import a_job, an_order

PROMPT = "a red fox in the snow"
MODEL = "fake-model.safetensors [0123456789]"


def settings_of(**entry: Any) -> ServerSettings:
    read = read_struct({"base_url": "http://127.0.0.1:9", **entry}, KIND.settings, "test")
    assert isinstance(read, ServerSettings)
    return read


def opened(settings: ServerSettings, environ: dict[str, str]) -> WebUiProvider:
    host = Host(data_dir=Path("/nowhere"), render_processes=1, read_secret=lambda one: read_secret(one, environ))
    provider = KIND.open(settings, host)
    assert isinstance(provider, WebUiProvider)
    return provider


@asynccontextmanager
async def provider_of(fake: FakeServer, **more: Any) -> AsyncIterator[WebUiProvider]:
    entry = fake.connection(**more)
    settings = settings_of(**{k: v for k, v in entry.items() if k not in ("name", "kind")})
    provider = opened(settings, fake.environ)
    try:
        yield provider
    finally:
        await provider.close()


@asynccontextmanager
async def jobs_of(fake: FakeServer, **more: Any) -> AsyncIterator[JobsProvider]:
    async with provider_of(fake, **more) as provider:
        assert isinstance(provider, JobsProvider)
        yield provider


def image_order(*roles: ReferenceRole, **spec: Any) -> Order:
    return an_order(references=references(*roles), **{"prompt": PROMPT, **spec})


def video_order(*roles: ReferenceRole, **spec: Any) -> Order:
    shape = {"aspect_ratio": "16:9", "resolution": "720p", "width": 128, "height": 72}
    return an_order(GenerationType.VIDEO, "req-2", references=references(*roles), **{"prompt": PROMPT, **shape, **spec})


def references(*roles: ReferenceRole) -> tuple[Reference, ...]:
    return tuple(
        Reference(role=role, mime_type="image/png", data=picture(16, 16, seed=at)) for at, role in enumerate(roles)
    )


def job_of(
    order: Order, workdir: Path = Path("/nowhere"), *, model: str = MODEL, options: Options | None = None, **more: Any
) -> Job[Any]:
    facts = {"id_": order.id, "type_": order.type, "upstream_model": model, **more}
    return a_job(workdir, options or Options(), **facts)


def bytes_of(outcome: object) -> bytes:
    assert isinstance(outcome, Completed), outcome
    (made,) = outcome.media
    if isinstance(made, LocalFile):
        return made.path.read_bytes()
    assert isinstance(made, InlineBytes)
    return made.data
