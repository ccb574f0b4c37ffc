"""What a system needs that is to work, each by itself. The commands and the dashboard look at the same.

Each look answers what it found, or raises ``SafelightError`` with what is wrong and the remedy. None makes anything.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from safelight.db.pool import Database
from safelight.domain.catalog import Catalog
from safelight.domain.errors import ConfigurationError, SafelightError
from safelight.domain.signing import LinkSigner
from safelight.keeping.readiness import readiness
from safelight.keeping.services import KeepingServices
from safelight.lifecycle.records import ConnectionUse, connections_under_way
from safelight.node.checks import Check, failed
from safelight.node.data_folder import usable
from safelight.node.settings import Settings
from safelight.node.signing_key_file import read_signing_keys
from safelight.telemetry import exporting
from safelight.wiring.opening import check_provenance, open_moderator, outbound_policy, proxies_of

Look = Callable[[Settings], str]
LoadCatalog = Callable[[Settings], Catalog]

MADE_LATER = "none yet; a start makes it"
_CONNECTIONS_BESIDE_THE_POOL = 6  # of the queue and of those that listen
_LEAST_FREE_BYTES = 1 << 30
_MOST_CLOCK_SECONDS = 2.0
_LOOK_SECONDS = 10.0


def configuration(load_catalog: LoadCatalog) -> tuple[tuple[str, Look], ...]:
    """What is configured, by name: what would stop a start."""
    return (
        ("data folder", _folder),
        ("catalog", partial(_catalog, load_catalog)),
        ("signing keys", _signing_keys),
        ("provenance", _provenance),
        ("moderation", _moderation),
        ("references", _outbound),
        ("proxies", _proxies),
        ("traces", _traces),
    )


def _folder(settings: Settings) -> str:
    folder, exists = usable(settings.data_dir)
    return str(folder) if exists else f"{folder}, {MADE_LATER}"


def _catalog(load_catalog: LoadCatalog, settings: Settings) -> str:
    models = load_catalog(settings).models
    return f"{settings.catalog or 'the one that ships'}, {len(models)} models"


def _signing_keys(settings: Settings) -> str:
    found = read_signing_keys(settings)
    if found is None:
        return MADE_LATER
    keys, source = found
    try:
        LinkSigner(keys, settings.base_url)
    except ConfigurationError as error:
        raise ConfigurationError(f"SAFELIGHT_PUBLIC_URL: {error.message}") from None
    return f"{len(keys)} from {source}, signing with {keys[0].id!r}"


def _provenance(settings: Settings) -> str:
    ends = check_provenance(settings)
    if settings.provenance == "off":
        return "off: files are not signed"
    return f"{settings.provenance_folder}, {f'until {ends:%Y-%m-%d}' if ends else MADE_LATER}"


def _moderation(settings: Settings) -> str:
    open_moderator(settings)
    return settings.moderation


def _outbound(settings: Settings) -> str:
    outbound_policy(settings)
    return settings.references_allow or "public addresses only"


def _proxies(settings: Settings) -> str:
    proxies_of(settings)
    return settings.proxies or "none"


def _traces(settings: Settings) -> str:
    return exporting.check()


def clock(database_seconds: float) -> str:
    """This machine's clock is the database's, which says that it is so many Unix seconds."""
    ahead = time.time() - database_seconds
    if abs(ahead) > _MOST_CLOCK_SECONDS:
        raise ConfigurationError(
            f"This machine's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's. "
            "Set both by NTP: links and leases would end at the wrong time."
        )
    return f"within {_MOST_CLOCK_SECONDS:g} s of the database's"


async def database_seconds(database: Database) -> float:
    """The database's time, as Unix seconds."""
    row = await database.one("database_time", {}, tuple)
    return float(row[0]) if row else 0.0


def work_under_way(catalog: Catalog, found: Sequence[ConnectionUse]) -> str:
    """What is under way can be asked about: the catalog still has each connection that was asked."""
    gone = [use for use in found if use.connection not in catalog.connections]
    if gone:
        listed = ", ".join(f"{use.generations} for {use.connection!r}" for use in gone)
        raise ConfigurationError(
            f"Generations under way wait for connections that the catalog no longer has: {listed}. Put them back: "
            "the backends may have made what was ordered. At their deadlines they fail, and cost nothing."
        )
    return f"{sum(use.generations for use in found)} generations with backends"


def room(settings: Settings, most: int) -> str:
    """The database has a connection for each that the processes of one command may open."""
    wanted = settings.workers * (settings.database_pool_size + _CONNECTIONS_BESIDE_THE_POOL)
    wanted += settings.metrics is not None  # of the process that tells them
    if wanted > most:
        raise ConfigurationError(
            f"SAFELIGHT_WORKERS ({settings.workers}) processes with SAFELIGHT_DATABASE_POOL_SIZE "
            f"({settings.database_pool_size}) open up to {wanted} connections, and the database has {most}. "
            "Lower one of them, or raise its max_connections."
        )
    return f"{wanted} of {most}"


async def most_connections(database: Database) -> int:
    row = await database.one("most_connections", {}, tuple)
    return int(row[0]) if row else 0


def disk(settings: Settings) -> str:
    """There is room in the folders of this machine."""
    free = {}
    for folder in local_folders(settings):
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        free[folder] = shutil.disk_usage(existing).free
        if free[folder] < _LEAST_FREE_BYTES:
            raise ConfigurationError(
                f"{free[folder] / 1e9:.2f} GB are free for {folder}. Free some space, or shorten the retention."
            )
    return f"{min(free.values()) / 1e9:.0f} GB free"


def local_folders(settings: Settings) -> list[Path]:
    """The data folder, and the one of the media where they are files of this machine."""
    media = urlsplit(settings.media_store_url)
    return [settings.data_dir, *([Path(unquote(media.path))] if media.scheme == "file" else [])]


def without_secrets(text: str) -> str:
    """A URL without user and query, where credentials may stand; any other text as it is."""
    parts = urlsplit(text)
    if not parts.scheme or not (parts.query or parts.username):
        return text
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "...", ""))


async def inspect(load_catalog: LoadCatalog, settings: Settings, keeping: KeepingServices) -> list[Check]:
    """Try everything that a running system needs, from one of its processes, each for so long at most."""

    async def database() -> str:
        found = await readiness(keeping)
        if found.database != "ok" or found.migrations != "ok":
            raise ConfigurationError(f"The database is {found.migrations or found.database}.")
        return "answers, at this release's revision"

    async def clocks() -> str:
        return clock(await database_seconds(keeping.db))

    async def work() -> str:
        catalog = await asyncio.to_thread(load_catalog, settings)
        return work_under_way(catalog, await connections_under_way(keeping.db))

    async def connections() -> str:
        return room(settings, await most_connections(keeping.db))

    async def store() -> str:
        await keeping.store.probe()
        return f"{without_secrets(settings.media_store_url)}: wrote, read and deleted a file"

    looks: Mapping[str, Callable[[], Awaitable[str]]] = {
        **{name: partial(asyncio.to_thread, look, settings) for name, look in configuration(load_catalog)},
        "database": database,
        "clock": clocks,
        "work": work,
        "connections": connections,
        "media store": store,
        "disk": partial(asyncio.to_thread, disk, settings),
    }
    return list(await asyncio.gather(*(_tried(name, look) for name, look in looks.items())))


async def _tried(name: str, look: Callable[[], Awaitable[str]]) -> Check:
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            return Check(name=name, ok=True, detail=await look())
    except TimeoutError:
        return Check(name=name, ok=False, detail=f"No answer within {_LOOK_SECONDS:g} s. See what holds it up.")
    except (SafelightError, OSError) as error:
        return failed(name, error)
