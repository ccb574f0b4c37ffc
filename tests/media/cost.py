"""What each step costs here, in milliseconds (median and least): ``python -m tests.media.cost``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyvips

from safelight.media.blackout import is_blacked_out
from safelight.media.measure import measure
from safelight.media.provenance import Provenance, ProvenanceSigner, create_local_chain, verify
from safelight.media.sniff import sniff
from safelight.media.thumbnail import write_thumbnail
from tests.media.media_files import convert_image, save, write_clip


def scene(width: int, height: int) -> Any:
    """A picture that compresses about as well as a rendered one: soft shapes and a little grain."""
    shapes = pyvips.Image.perlin(width, height, cell_size=256).linear(60, 120)
    bands = [shapes * factor + pyvips.Image.gaussnoise(width, height, sigma=4) for factor in (1, 0.8, 0.6)]
    return bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb").copy_memory()


def timed(work: Callable[[], object]) -> str:
    work()
    begun, taken = time.perf_counter(), []
    while len(taken) < 7 or (time.perf_counter() - begun < 0.5 and len(taken) < 300):
        at = time.perf_counter()
        work()
        taken.append((time.perf_counter() - at) * 1000)
    taken.sort()
    return f"{taken[len(taken) // 2]:8.2f} ({taken[0]:.2f})"


def samples(folder: Path) -> list[Path]:
    made = []
    for name, image in (("64x64", scene(64, 64)), ("2048x2048", scene(2048, 2048))):
        made += [save(image, folder / f"{name}.{suffix}", keep="none") for suffix in ("png", "jpg", "webp")]
    for name, size, gop in (
        ("96x64", (96, 64), 12),
        ("1080p", (1920, 1080), 48),
        ("1080p-one-gop", (1920, 1080), 240),
    ):
        frames = 24 if name == "96x64" else 120
        made.append(write_clip(folder / f"{name}.mp4", size=size, frames=frames, gop=gop, sound=True))
    return made


def main() -> None:
    root, chain, key = create_local_chain("Cost")
    signers = {name: ProvenanceSigner(*create_local_chain("Cost", algorithm=name)[1:]) for name in ("es256", "ed25519")}
    signers["es256"] = ProvenanceSigner(chain, key)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = folder / "target"
        for path in samples(folder):
            mime_type = sniff(path)
            size_bytes = path.stat().st_size

            def sign(signer: ProvenanceSigner, path: Path = path, mime_type: Any = mime_type) -> None:
                provenance = Provenance(
                    mime_type=mime_type,
                    digital_source_type="algorithmicMedia",
                    model="example-model",
                    generation_id="req-01J0000000000000000000000A",
                    created_at=datetime.now(UTC),
                )
                signer.sign_file(path, target, provenance)

            print(f"{path.name}: {size_bytes} bytes")
            print("  measure      ", timed(lambda path=path: measure(path)))
            print("  blacked out  ", timed(lambda path=path: is_blacked_out(path)))
            print("  thumbnail    ", timed(lambda path=path: write_thumbnail(path, target)))
            if mime_type != "video/mp4":
                wanted = "jpeg" if mime_type != "image/jpeg" else "webp"
                print(
                    f"  to {wanted:10}",
                    timed(lambda path=path, wanted=wanted: convert_image(path, target, wanted)),
                )
            print("  sign ed25519 ", timed(lambda: sign(signers["ed25519"])))
            print(
                "  sign es256   ",
                timed(lambda: sign(signers["es256"])),
                f"+{target.stat().st_size - size_bytes} bytes",
            )
            print("  verify       ", timed(lambda: verify(target, root)))


if __name__ == "__main__":
    main()
