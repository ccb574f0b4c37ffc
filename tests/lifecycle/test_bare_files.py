"""What goes into the store is the picture or the clip, and our manifest: nothing of a backend's (RELIABILITY 64)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.domain.connections import NoOptions
from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat
from safelight.domain.outcomes import InlineBytes
from safelight.domain.ports import Backend
from safelight.lifecycle import workdir
from safelight.lifecycle.claims import Claim, ClaimedRow
from safelight.lifecycle.deliver import deliver
from safelight.lifecycle.workdir import Workdir
from safelight.media.provenance import ProvenanceSigner, verify
from safelight.node.chain import create_local_chain
from safelight.providers.noop import NoopProvider
from tests.lifecycle.studio import Studio
from tests.media import plants
from tests.media.plants import CANARY

pytestmark = pytest.mark.database

ORDERED: dict[str, tuple[Callable[[Path], Path], ImageFormat | None]] = {
    "png as ordered": (plants.png, "png"),
    "jpeg as ordered": (plants.jpeg, "jpeg"),
    "webp as ordered": (lambda folder: plants.webp(folder, alpha=True), "webp"),
    "png for a jpeg": (plants.png, "jpeg"),
    "jpeg for a webp": (plants.jpeg, "webp"),
    "clip": (plants.mp4, None),
}
ROOT, CHAIN, KEY = create_local_chain("Example Studio")


@pytest.mark.parametrize("in_memory_bytes", [workdir.MOST_IN_MEMORY_BYTES, 0], ids=["in memory", "on disk"])
@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("name", ORDERED)
async def test_nothing_of_a_backend_is_stored(
    studio: Studio, tmp_path: Path, name: str, is_signed: bool, in_memory_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workdir, "MOST_IN_MEMORY_BYTES", in_memory_bytes)
    make, wanted = ORDERED[name]
    services = msgspec.structs.replace(
        studio.parts.running, provenance=ProvenanceSigner(CHAIN, KEY) if is_signed else None
    )
    made = make(tmp_path).read_bytes()
    assert CANARY in made
    desk = Workdir(tmp_path / "run")

    async def again() -> None:
        return None

    backend = Backend(connection="outside", provider=NoopProvider(), options=NoOptions)
    [stored] = await deliver(
        services,
        claimed(wanted),
        backend,
        (InlineBytes(made),),
        desk,
        until=time.monotonic() + 60,
        again=again,
    )
    await desk.clear()
    assert not (tmp_path / "run").exists()
    data = await services.store.get(stored.key)
    assert CANARY not in data
    assert len(data) == stored.size_bytes
    (tmp_path / "stored").write_bytes(data)
    report = verify(tmp_path / "stored", ROOT)
    assert (report.present, report.trusted) == (is_signed, is_signed), report.problems


def claimed(wanted: ImageFormat | None) -> Claim:
    type_ = GenerationType.VIDEO if wanted is None else GenerationType.IMAGE
    request = {
        "prompt": "a fox",
        "aspect_ratio": "1:1",
        "resolution": "2K",
        "width": 64,
        "height": 64,
        "output_format": wanted,
        "duration_seconds": 1 if wanted is None else None,
        "sound": False,
        "references": [],
    }
    values: dict[str, Any] = {
        "id": "req-01J0000000000000000000000A",
        "workspace_id": 1,
        "type": type_.value,
        "model": "example",
        "request": request,
        "state": "running",
        "attempts": 1,
        "was_submitted": True,
        "submitted_seconds_ago": None,
        "connection": None,
        "upstream_model": None,
        "binding_options": None,
        "binding": 0,
        "handle": None,
        "is_cancel_requested": False,
        "billable_unit": "image",
        "unit_price_nanos": 1,
        "quantity": 1,
        "retention_seconds": 60,
        "run_token": uuid.uuid4(),
        "remaining_seconds": 60.0,
        "age_seconds": 1.0,
        "tries": 0,
        "traceparent": None,
    }
    return ClaimedRow(**values).claim()
