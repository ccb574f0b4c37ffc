"""What signing a file costs: from a template, beside the C2PA library by itself, in turns in one process."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyvips

from bench.report import Report, at_most
from safelight.domain.media import EXTENSION_OF_MIME, MimeType
from safelight.lifecycle.workdir import Workdir
from safelight.media.boxes import box
from safelight.media.provenance import Provenance, ProvenanceSigner, create_local_chain
from safelight.media.remux import strip_clip
from safelight.providers.noop import mp4

_PICTURES: tuple[tuple[str, MimeType, int], ...] = (
    ("PNG of one pixel", "image/png", 1),
    ("PNG of 75 KB", "image/png", 158),
    ("JPEG of 100 KB", "image/jpeg", 460),
    ("WebP of 100 KB", "image/webp", 460),
)
_REACH_MS = 0.35
_CLIP_BYTES = 3_500_000
"""So large that its signed file is still one in memory."""

Sign = Callable[[ProvenanceSigner], None]


async def run(report: Report) -> None:
    await asyncio.to_thread(_measure, report)


def _measure(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _, chain, key = create_local_chain("Bench")
        template, library = ProvenanceSigner(chain, key), ProvenanceSigner(chain, key)
        library.sign_by_library()
        for name, mime_type, side in _PICTURES:
            picture = _noise(side).write_to_buffer("." + EXTENSION_OF_MIME[mime_type], keep="none")
            report.say(f"{name}: {len(picture):,} bytes")
            _compare(report, name, template, library, partial(_sign, picture=picture, mime_type=mime_type))
        small, large = _clips(Path(folder))
        desk = Workdir(Path(folder) / "desk")
        for name, clip, reach in (("clip of 8 frames", small, _REACH_MS), ("clip of 3.5 MB", large, None)):
            report.say(f"{name}: {clip.stat().st_size:,} bytes")
            _compare(report, name, template, library, partial(_sign_file, clip=clip, desk=desk), reach)


def _compare(
    report: Report,
    name: str,
    template: ProvenanceSigner,
    library: ProvenanceSigner,
    sign: Sign,
    reach_ms: float | None = _REACH_MS,
) -> None:
    rounds, signatures = (2, 40) if report.brief else (5, 200)
    for threads in (1, 4):
        taken: list[list[float]] = [[], []]
        for _ in range(rounds):
            for signer, each in zip((template, library), taken, strict=True):
                each.append(_ms_a_file(partial(sign, signer), signatures, threads))
        ours, peer = map(statistics.median, taken)
        reach = at_most(reach_ms) if threads == 1 and reach_ms else None
        where = f"{name}, {threads} thread{'s' * (threads > 1)}"
        report.add(f"{where}: processor time (C2PA library)", ours, "ms", peer=peer, reach=reach)


def _noise(side: int) -> Any:
    """As many bytes as its pixels: no format makes noise much smaller."""
    bands = [pyvips.Image.gaussnoise(side, side, sigma=60, mean=128, seed=seed) for seed in range(3)]
    return bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb").copy_memory()


def _clips(folder: Path) -> tuple[Path, Path]:
    """The no-op backend's, as it comes to be signed, and the same with media data that no frame is in."""
    made, small, large = (folder / name for name in ("made", "small", "large"))
    made.write_bytes(mp4(1))
    strip_clip(made, small)
    data = small.read_bytes()
    large.write_bytes(data + box(b"mdat", bytes(_CLIP_BYTES - len(data) - 8)))
    return small, large


def _sign(signer: ProvenanceSigner, *, picture: bytes, mime_type: MimeType) -> None:
    signer.sign(picture, _provenance(mime_type))


def _sign_file(signer: ProvenanceSigner, *, clip: Path, desk: Workdir) -> None:
    target = desk.place("signed", clip.stat().st_size)
    signer.sign_file(clip, target, _provenance("video/mp4"))


def _provenance(mime_type: MimeType) -> Provenance:
    return Provenance(
        mime_type=mime_type,
        digital_source_type="trainedAlgorithmicMedia",
        model="example-model",
        generation_id="req-01J0000000000000000000000A",
        created_at=datetime.now(UTC),
    )


def _ms_a_file(sign: Callable[[], None], signatures: int, threads: int) -> float:
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
