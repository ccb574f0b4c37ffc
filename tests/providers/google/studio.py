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
from safelight.providers.google.provider import KIND, GoogleProvider
from safelight.providers.google.settings import Options
from safelight.providers.noop import png
from tests.providers.google.fake import LOCATION, PROJECT, FakeGoogle
from tests.support.jobs import a_job, an_order

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
PICTURE = png()


def settings_of(fake: FakeGoogle, platform: str, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"base_url": fake.base_url, "platform": platform, "poll_seconds": 0}
    if platform == "gemini":
        given["key"] = "env:KEY"
    else:
        given |= {"project": PROJECT, "location": LOCATION, "storage_url": fake.base_url}
        given |= {"allow": [f"127.0.0.1:{fake.port}"], "credentials": "env:CREDENTIALS"}
    return {name: value for name, value in {**given, **more}.items() if value is not None}


@asynccontextmanager
async def provider_of(
    fake: FakeGoogle,
    platform: str = "gemini",
    *,
    credentials: str | None = None,
    metadata: bool = False,
    **more: Any,
) -> AsyncIterator[GoogleProvider]:
    if metadata:
        more = {"metadata_url": fake.base_url, "credentials": None, "allow": None, **more}
    settings = read_struct(settings_of(fake, platform, **more), KIND.settings, "test")
    secrets = {"env:KEY": fake.key, "env:CREDENTIALS": credentials or fake.service_account()}
    host = Host(data_dir=Path("/nowhere"), render_processes=1, read_secret=lambda one: secrets[one.reference])
    provider = KIND.open(settings, host)
    assert isinstance(provider, GoogleProvider)
    try:
        yield provider
    finally:
        await provider.close()


def order(type_: GenerationType = IMAGE, *roles: ReferenceRole, **spec: Any) -> Order:
    """A picture of 2K, or a clip of 720p and two seconds, in 16:9, unless ``spec`` says otherwise."""
    given = tuple(Reference(role=role, mime_type="image/png", data=PICTURE) for role in roles)
    shape = {"aspect_ratio": "16:9", "resolution": "2K" if type_ is IMAGE else "720p", "prompt": "a red fox"}
    return an_order(type_, references=given, **{**shape, **spec})


def job(workdir: Path, type_: GenerationType = IMAGE, model: str | None = None, **more: Any) -> Job[Options]:
    """``options`` are those of the binding."""
    options = read_struct(more.pop("options", {}), Options, "test")
    upstream = model or ("gemini-image" if type_ is IMAGE else "gemini-omni")
    return a_job(workdir, options, **{"type_": type_, "upstream_model": upstream, **more})


def bytes_of(outcome: object) -> bytes:
    """The one file of an outcome that has it."""
    assert isinstance(outcome, Completed), outcome
    (produced,) = outcome.media
    if isinstance(produced, LocalFile):
        return produced.path.read_bytes()
    assert isinstance(produced, InlineBytes), produced
    return produced.data
