"""What a start needs. ``serve``, ``worker`` and ``up`` stop at what is wrong with it, and ``doctor`` shows all of it.

Each check answers what it found, or raises ``SafelightError`` with what is wrong and the remedy. None makes anything.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from urllib.parse import urlsplit, urlunsplit

from safelight import wiring
from safelight.cli.database import work_on
from safelight.cli.signing_key_file import ensure_signing_keys, read_signing_keys
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError, SafelightError, ServiceUnavailable
from safelight.domain.signing import LinkSigner
from safelight.node.certificates import init_provenance
from safelight.node.data_folder import prepare, usable
from safelight.node.processes import end_with_parent
from safelight.node.settings import Settings

Look = Callable[[Settings], str]

_MADE_LATER = "none yet; a start makes it"
_PROBE_SECONDS = 20.0
_CONNECTIONS_BESIDE_THE_POOL = 6  # of the queue and of those that listen


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


def _folder(settings: Settings) -> str:
    folder, exists = usable(settings.data_dir)
    return str(folder) if exists else f"{folder}, {_MADE_LATER}"


def _catalog(settings: Settings) -> str:
    models = wiring.load_catalog(settings).models
    return f"{settings.catalog or 'the one that ships'}, {len(models)} models"


def _signing_keys(settings: Settings) -> str:
    found = read_signing_keys(settings)
    if found is None:
        return _MADE_LATER
    keys, source = found
    try:
        LinkSigner(keys, settings.base_url)
    except ConfigurationError as error:
        raise ConfigurationError(f"SAFELIGHT_PUBLIC_URL: {error.message}") from None
    return f"{len(keys)} from {source}, signing with {keys[0].id!r}"


def _provenance(settings: Settings) -> str:
    ends = wiring.check_provenance(settings)
    if settings.provenance == "off":
        return "off: files are not signed"
    return f"{settings.provenance_folder}, {f'until {ends:%Y-%m-%d}' if ends else _MADE_LATER}"


def _moderation(settings: Settings) -> str:
    wiring.open_moderator(settings)
    return settings.moderation


def _outbound(settings: Settings) -> str:
    wiring.outbound_policy(settings)
    return settings.references_allow or "public addresses only"


def _proxies(settings: Settings) -> str:
    return ", ".join(wiring.proxies_of(settings)) or "none"


def media_store(settings: Settings) -> str:
    """Tried in a process of its own: this one may fork later, and a store's threads do not outlive that."""
    wiring.open_media_store(settings)
    if settings.media_url is None and not settings.data_dir.is_dir():
        return _MADE_LATER
    lifeline = partial(end_with_parent, os.getpid(), signal.SIGKILL)
    with ProcessPoolExecutor(1, mp_context=get_context("fork"), initializer=lifeline) as pool:
        wrong = pool.submit(_tried, settings).result()
    if wrong is not None:
        raise ServiceUnavailable(f"{wrong.rstrip('.')}. Mend it, or correct SAFELIGHT_MEDIA_URL.")
    return f"{without_secrets(settings.media_store_url)}: wrote, read and deleted a file"


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
    most = work_on(settings.database_url, _most_connections)
    wanted = settings.workers * (settings.database_pool_size + _CONNECTIONS_BESIDE_THE_POOL)
    if wanted > most:
        raise ConfigurationError(
            f"SAFELIGHT_WORKERS ({settings.workers}) processes with SAFELIGHT_DATABASE_POOL_SIZE "
            f"({settings.database_pool_size}) open up to {wanted} connections, and the database has {most}. "
            "Lower one of them, or raise its max_connections."
        )
    return f"{wanted} of {most}"


async def _most_connections(database: Database) -> int:
    row = await database.one("most_connections", {}, tuple)
    return int(row[0]) if row else 0


def without_secrets(text: str) -> str:
    """A URL without user and query, where credentials may stand; any other text as it is."""
    parts = urlsplit(text)
    if not parts.scheme or not (parts.query or parts.username):
        return text
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "...", ""))


CONFIGURATION: tuple[tuple[str, Look], ...] = (
    ("data folder", _folder),
    ("catalog", _catalog),
    ("signing keys", _signing_keys),
    ("provenance", _provenance),
    ("moderation", _moderation),
    ("references", _outbound),
    ("proxies", _proxies),
)
SURROUNDINGS: tuple[tuple[str, Look], ...] = (
    ("connections", room),
    ("media store", media_store),
)
