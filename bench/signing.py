"""What signing a picture costs: from a template, beside the C2PA library by itself, in turns in one process."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyvips

from bench.report import Report, at_most
from safelight.domain.media import MimeType
from safelight.media.provenance import Provenance, ProvenanceSigner, create_local_chain

_PICTURES: tuple[tuple[str, MimeType, int], ...] = (
    ("PNG of one pixel", "image/png", 1),
    ("PNG of 75 KB", "image/png", 158),
    ("JPEG of 100 KB", "image/jpeg", 460),
    ("WebP of 100 KB", "image/webp", 460),
)
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}
_REACH_MS = 0.35


async def run(report: Report) -> None:
    await asyncio.to_thread(_measure, report)


def _measure(report: Report) -> None:
    rounds, signatures = (2, 40) if report.brief else (5, 200)
    _, chain, key = create_local_chain("Bench")
    template, library = ProvenanceSigner(chain, key), ProvenanceSigner(chain, key)
    library.sign_by_library()
    for name, mime_type, side in _PICTURES:
        picture = _noise(side).write_to_buffer(_SUFFIXES[mime_type], keep="none")
        report.say(f"{name}: {len(picture):,} bytes")
        for threads in (1, 4):
            taken: list[list[float]] = [[], []]
            for _ in range(rounds):
                for signer, each in zip((template, library), taken, strict=True):
                    each.append(_ms_a_picture(partial(_sign, signer, picture, mime_type), signatures, threads))
            ours, peer = map(statistics.median, taken)
            reach = at_most(_REACH_MS) if threads == 1 else None
            where = f"{name}, {threads} thread{'s' * (threads > 1)}"
            report.add(f"{where}: processor time (C2PA library)", ours, "ms", peer=peer, reach=reach)


def _noise(side: int) -> Any:
    """As many bytes as its pixels: no format makes noise much smaller."""
    bands = [pyvips.Image.gaussnoise(side, side, sigma=60, mean=128, seed=seed) for seed in range(3)]
    return bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb").copy_memory()


def _sign(signer: ProvenanceSigner, picture: bytes, mime_type: MimeType) -> None:
    provenance = Provenance(
        mime_type=mime_type,
        digital_source_type="trainedAlgorithmicMedia",
        model="example-model",
        generation_id="req-01J0000000000000000000000A",
        created_at=datetime.now(UTC),
    )
    signer.sign(picture, provenance)


def _ms_a_picture(sign: Callable[[], None], signatures: int, threads: int) -> float:
    """Of the whole process: no other thread of it works meanwhile."""

    def work() -> None:
        for _ in range(signatures // threads):
            sign()

    with ThreadPoolExecutor(threads) as pool:
        sign()
        begun = time.process_time()
        for done in [pool.submit(work) for _ in range(threads)]:
            done.result()
        return (time.process_time() - begun) * 1000 / (signatures // threads * threads)
