"""A kept file where it can be read as a file: on this machine's disk, or a copy for a moment."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from safelight.keeping.files import FileToSend
from safelight.keeping.services import KeepingServices


@contextlib.asynccontextmanager
async def local_file(services: KeepingServices, found: FileToSend) -> AsyncIterator[Path]:
    """The file's path while inside. Raises ``FileNotFoundError`` where the store has it no more."""
    local = services.store.local_path(found.key)
    if local is not None:
        yield local
        return
    copy = services.work_dir / f"copy-{secrets.token_hex(8)}"
    try:
        with await asyncio.to_thread(copy.open, "wb") as file:
            async with contextlib.aclosing(services.store.stream(found.key, 0, found.size_bytes)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    await asyncio.to_thread(file.write, chunk)
        yield copy
    finally:
        await asyncio.to_thread(copy.unlink, missing_ok=True)
