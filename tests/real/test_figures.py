"""What the engine takes: to build, to start, and of memory."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.real import build
from tests.real.engine import Engine
from tests.real.pictures import generate

PICTURES = 20


def test_an_engine_that_makes_small_pictures(tmp_path: Path, figures: dict[str, str]) -> None:
    built = build.built()
    assert built is not None
    engine = Engine(tmp_path)
    try:
        with httpx.Client(base_url=engine.base_url, timeout=120) as client:
            for _ in range(PICTURES):
                generate(client, size="64x64")
        assert engine.finished == PICTURES
        figures["engine fetched and compiled"] = f"{built.build_seconds:.0f} s"
        figures["engine started, model loaded"] = f"{engine.start_seconds:.2f} s"
        figures["most memory that the engine held, at 64x64"] = f"{engine.peak_bytes / 2**20:.0f} MiB"
    finally:
        engine.stop()
