"""What tests of the adapter share: orders, jobs, and the provider of a connection as a catalog opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.domain.connection_reader import read_struct
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.outcomes import Completed, InlineBytes
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order
from safelight.node.secrets import read_secret
from safelight.providers.openai.provider import KIND, OpenAiProvider
from safelight.providers.openai.settings import Options
from tests.model_server.stand_in import ModelServer
from tests.providers.openai.fake import FakeServer
from tests.providers.openai.media import picture
from tests.support.jobs import a_job, an_order

PROMPT = "a red fox in the snow"


@asynccontextmanager
async def provider_of(fake: FakeServer | ModelServer, **quirks: Any) -> AsyncIterator[OpenAiProvider]:
    entry = fake.connection(**quirks)
    settings = read_struct({k: v for k, v in entry.items() if k not in ("name", "kind")}, KIND.settings, "test")
    host = Host(data_dir=Path("/nowhere"), render_processes=1, read_secret=lambda one: read_secret(one, fake.environ))
    provider = KIND.open(settings, host)
    assert isinstance(provider, OpenAiProvider)
    try:
        yield provider
    finally:
        await provider.close()


def image_order(*roles: ReferenceRole, **spec: Any) -> Order:
    return an_order(references=references(*roles), **{"prompt": PROMPT, **spec})


def video_order(*roles: ReferenceRole, **spec: Any) -> Order:
    shape = {"aspect_ratio": "16:9", "resolution": "720p", "width": 128, "height": 72}
    given = references(*roles)
    return an_order(GenerationType.VIDEO, "req-2", references=given, **{"prompt": PROMPT, **shape, **spec})


def references(*roles: ReferenceRole) -> tuple[Reference, ...]:
    return tuple(
        Reference(role=role, mime_type="image/png", data=picture(16, 16, seed=at)) for at, role in enumerate(roles)
    )


def job_of(order: Order, *, model: str = "fake-image", options: Options | None = None, **more: Any) -> Job[Options]:
    facts = {"id_": order.id, "type_": order.type, "upstream_model": model, **more}
    return a_job(Path("/nowhere"), options or Options(), **facts)


def bytes_of(outcome: object) -> bytes:
    """The one file of an outcome that has it."""
    assert isinstance(outcome, Completed), outcome
    (produced,) = outcome.media
    assert isinstance(produced, InlineBytes), produced
    return produced.data
