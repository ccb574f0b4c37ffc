"""A clip of 200 MiB that comes inside JSON is on disk at the end, and never was in memory."""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path

import pytest
from aiohttp import web

SIZE_BYTES = 200 * 1024 * 1024
_PIECE_BYTES = 3 * 1024 * 1024
_MOST_GROWTH_KIB = 48 * 1024
_OPERATION = "projects/p/locations/l/publishers/google/models/veo-3/operations/o"
BODIES = {
    "interactions": (
        b'{"id": "v1_1", "status": "completed", '
        b'"steps": [{"type": "model_output", "content": [{"type": "video", "data": "',
        b'"}]}]}',
    ),
    "veo": (
        b'{"name": "' + _OPERATION.encode() + b'", "done": true, "response": {"videos": [{"bytesBase64Encoded": "',
        b'"}]}}',
    ),
}

CHILD = """
import asyncio, sys
from pathlib import Path
from safelight.domain.connections import Secret
from safelight.providers.google.provider import GoogleProvider
from safelight.providers.google.settings import Options, Settings
from safelight.domain.generations import GenerationType
from tests.support.jobs import a_job

def peak_kib():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

async def main(url, handle, folder):
    provider = GoogleProvider(Settings(base_url=url, key=Secret("env:KEY")), "k", None)
    job = a_job(Path(folder), Options(), type_=GenerationType.VIDEO, upstream_model="m")
    before = peak_kib()
    outcome = await provider.poll(handle, job)
    grown = peak_kib() - before
    await provider.close()
    (file,) = outcome.media
    print(file.path.stat().st_size, grown)

name, value = sys.argv[2].split("=")
asyncio.run(main(sys.argv[1], {name: value}, sys.argv[3]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of one process is told by /proc")
@pytest.mark.parametrize(("api", "handle"), [("interactions", "interaction=v1_1"), ("veo", f"operation={_OPERATION}")])
async def test_a_long_clip_is_never_in_memory(tmp_path: Path, api: str, handle: str) -> None:
    head, tail = BODIES[api]

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(head)
        left = SIZE_BYTES
        while left:
            piece = min(left, _PIECE_BYTES)
            await response.write(base64.b64encode(bytes(piece)))
            left -= piece
        await response.write(tail)
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, url, handle, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    await runner.cleanup()
    assert child.returncode == 0
    size_bytes, grown_kib = map(int, output.split())
    assert size_bytes == SIZE_BYTES
    assert grown_kib < _MOST_GROWTH_KIB, f"{grown_kib} KiB"
    for file in tmp_path.iterdir():
        file.unlink()
