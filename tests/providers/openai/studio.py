"""What tests of the adapter share: orders, jobs, and the provider of a connection as a catalog opens it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safelight.domain.connection_reader import read_struct
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.outcomes import Completed, InlineBytes
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order, Spec
from safelight.node.secrets import read_secret
from safelight.providers.openai.provider import KIND, OpenAiProvider
from safelight.providers.openai.settings import Options
from tests.providers.openai.fake import FakeServer
from tests.providers.openai.media import picture

PROMPT = "a red fox in the snow"


@asynccontextmanager
async def provider_of(fake: FakeServer, **quirks: Any) -> AsyncIterator[OpenAiProvider]:
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
    told = {"aspect_ratio": "1:1", "resolution": "1K", "width": 64, "height": 64, "output_format": "png", **spec}
    return Order(
        id="req_1",
        type=GenerationType.IMAGE,
        model="ours",
        spec=Spec(**{"prompt": PROMPT, **told}),
        references=references(*roles),
    )


def video_order(*roles: ReferenceRole, **spec: Any) -> Order:
    told = {"aspect_ratio": "16:9", "resolution": "720p", "width": 128, "height": 72, "duration_seconds": 2, **spec}
    return Order(
        id="req_2",
        type=GenerationType.VIDEO,
        model="ours",
        spec=Spec(**{"prompt": PROMPT, **told}),
        references=references(*roles),
    )


def references(*roles: ReferenceRole) -> tuple[Reference, ...]:
    return tuple(
        Reference(role=role, mime_type="image/png", data=picture(16, 16, seed=at)) for at, role in enumerate(roles)
    )


def job_of(order: Order, *, model: str = "fake-image", **more: Any) -> Job[Options]:
    return Job(
        **{
            "id": f"{order.id}.1",
            "generation_id": order.id,
            "type": order.type,
            "upstream_model": model,
            "options": Options(),
            "submitted_at": datetime.now(UTC),
            "workdir": Path("/nowhere"),
            "progress": lambda fraction: None,
            "reference_url": lambda at: f"https://ours.example/references/{at}",
            "callback_url": "https://ours.example/callback",
            **more,
        }
    )


def bytes_of(outcome: object) -> bytes:
    """The one file of an outcome that has it."""
    assert isinstance(outcome, Completed), outcome
    (produced,) = outcome.media
    assert isinstance(produced, InlineBytes), produced
    return produced.data
