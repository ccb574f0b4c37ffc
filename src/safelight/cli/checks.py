"""What a start needs. ``serve``, ``worker`` and ``up`` stop at what is wrong with it, and ``doctor`` shows all of it.

Each check answers what it found, or raises ``SafelightError`` with what is wrong and the remedy. None makes anything.
What a command and a running process look at in the same way is in ``safelight.wiring.checks``.
"""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from safelight import wiring
from safelight.cli.database import work_on
from safelight.domain.errors import ConfigurationError, SafelightError, ServiceUnavailable
from safelight.node.certificates import init_provenance
from safelight.node.data_folder import prepare
from safelight.node.processes import end_with_parent
from safelight.node.settings import Settings
from safelight.node.signing_key_file import ensure_signing_keys
from safelight.wiring import checks

_PROBE_SECONDS = 20.0


def require(settings: Settings) -> None:
    """Make what a first start makes, and find what would stop an API process or a worker."""
    prepare(settings.data_dir)
    ensure_signing_keys(settings)
    if settings.provenance == "on" and settings.provenance_dir is None:
        init_provenance(settings.provenance_folder)
    for _, look in CONFIGURATION:
        look(settings)


def require_surroundings(settings: Settings) -> None:
    """Find what would keep it from working, though it is configured well."""
    for _, look in SURROUNDINGS:
        look(settings)


def media_store(settings: Settings) -> str:
    """Tried in a process of its own: this one may fork later, and a store's threads do not outlive that."""
    wiring.open_media_store(settings)
    if settings.media_url is None and not settings.data_dir.is_dir():
        return checks.MADE_LATER
    lifeline = partial(end_with_parent, os.getpid(), signal.SIGKILL)
    with ProcessPoolExecutor(1, mp_context=get_context("fork"), initializer=lifeline) as pool:
        wrong = pool.submit(_tried, settings).result()
    if wrong is not None:
        raise ServiceUnavailable(f"{wrong.rstrip('.')}. Mend it, or correct SAFELIGHT_MEDIA_URL.")
    return f"{checks.without_secrets(settings.media_store_url)}: wrote, read and deleted a file"


def _tried(settings: Settings) -> str | None:
    async def probe() -> None:
        store = wiring.open_media_store(settings)
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await store.probe()
        finally:
            await store.close()

    try:
        asyncio.run(probe())
    except TimeoutError:
        return f"The media store gives no answer within {_PROBE_SECONDS:g} s"
    except SafelightError as error:
        return str(error)
    return None


def room(settings: Settings) -> str:
    """The database has a connection for each that the processes of one command may open."""
    if settings.database_url is None:
        raise ConfigurationError("There is no database. Set SAFELIGHT_DATABASE_URL, or use 'safelight up'.")
    return checks.room(settings, work_on(settings.database_url, checks.most_connections))


CONFIGURATION = checks.configuration(wiring.load_catalog)
SURROUNDINGS: tuple[tuple[str, checks.Look], ...] = (
    ("connections", room),
    ("media store", media_store),
)
