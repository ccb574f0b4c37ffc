"""``safelight doctor``: what is configured, what is reachable, and what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec
import psycopg
from rich.text import Text

from safelight import __version__, wiring
from safelight.cli.database import database_url, shown, work_on
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import console, print_json
from safelight.cli.supervisor import answers
from safelight.cli.tcp_port import check_port
from safelight.db.migrate import revision_of
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError, SafelightError
from safelight.domain.signing import parse_signing_keys
from safelight.lifecycle.records import connections_under_way
from safelight.node.settings import Settings, load_settings, setting_names

_LEAST_FREE_BYTES = 1 << 30
_MOST_CLOCK_SECONDS = 2.0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing tried. ``detail`` says what was found or, if it is not ``ok``, what is wrong and what to do."""

    name: str
    ok: bool
    detail: str


def doctor(*, as_json: AsJson = False, data_dir: DataDir = None) -> int:
    """Check the installation and say what to do."""
    settings = load_settings(data_dir=data_dir)
    shown_settings = visible_settings(settings)
    checks = run_checks(settings)
    is_well = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": is_well, "version": __version__, "settings": shown_settings, "checks": checks})
    else:
        _print(shown_settings, checks)
    return 0 if is_well else 1


def run_checks(settings: Settings) -> list[Check]:
    """Try everything that a running system needs."""
    checks = [_try("data folder", lambda: _data_folder(settings))]
    catalog = _try("catalog", lambda: _catalog(settings))
    with ExitStack() as stack:
        urls: list[str] = []

        def connect() -> str:
            urls.append(stack.enter_context(database_url(settings)))
            return _database(settings, urls[0])

        checks.append(_try("database", connect))
        if urls:
            checks.append(_try("clock", lambda: _clock(urls[0])))
            if catalog.ok:
                checks.append(_try("work", lambda: _work_under_way(settings, urls[0])))
    checks += [
        _try("media store", lambda: asyncio.run(_media(settings))),
        catalog,
        _try("signing keys", lambda: _signing_keys(settings)),
        _try("address", lambda: _address(settings)),
        _try("disk", lambda: _disk(settings)),
    ]
    return checks


def _try(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, detail=look())
    except SafelightError as error:
        return Check(name=name, ok=False, detail=error.message)
    except OSError as error:
        return Check(name=name, ok=False, detail=f"{error}.")


def _data_folder(settings: Settings) -> str:
    folder = settings.data_dir.absolute()
    if not folder.is_dir():
        raise ConfigurationError(
            f"There is no folder {folder}. 'safelight up' makes it; for another folder use --data-dir."
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"No permission for {folder}. Let this user read and write it.")
    return str(folder)


def _database(settings: Settings, url: str) -> str:
    with psycopg.connect(url) as connection:
        version, revision = connection.info.server_version, revision_of(connection)
    place = shown(url) if settings.database_url else "embedded"
    return f"{place}, PostgreSQL {version // 10000}.{version % 10000}, revision {revision}"


def _clock(url: str) -> str:
    ahead = time.time() - work_on(url, _database_time)
    if abs(ahead) > _MOST_CLOCK_SECONDS:
        raise ConfigurationError(
            f"This machine's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's. "
            "Set both by NTP: links and leases would end at the wrong time."
        )
    return f"within {_MOST_CLOCK_SECONDS:g} s of the database's"


async def _database_time(database: Database) -> float:
    row = await database.one("database_time", {}, tuple)
    return float(row[0]) if row else 0.0


def _work_under_way(settings: Settings, url: str) -> str:
    """What is under way can be asked about: the catalog still has each connection that was asked."""
    known = wiring.load_catalog(settings).connections
    found = work_on(url, connections_under_way)
    gone = [use for use in found if use.connection not in known]
    if gone:
        listed = ", ".join(f"{use.generations} for {use.connection!r}" for use in gone)
        raise ConfigurationError(
            f"Generations under way wait for connections that the catalog no longer has: {listed}. Put them back: "
            "the backends may have made what was ordered. At their deadlines they fail, and cost nothing."
        )
    return f"{sum(use.generations for use in found)} generations with backends"


async def _media(settings: Settings) -> str:
    if settings.media_url is None:
        _data_folder(settings)  # a probe would make the folder
    store = wiring.open_media_store(settings)
    try:
        await store.probe()
    finally:
        await store.close()
    return f"{_without_secrets(settings.media_store_url)}: wrote, read and deleted a file"


def _catalog(settings: Settings) -> str:
    models = wiring.load_catalog(settings).models
    return f"{settings.catalog or 'the one that ships'}, {len(models)} models"


def _signing_keys(settings: Settings) -> str:
    path = settings.data_dir / "signing-keys"
    if settings.signing_keys:
        keys, source = parse_signing_keys(settings.signing_keys), "SAFELIGHT_SIGNING_KEYS"
    elif path.exists():
        keys, source = parse_signing_keys(path.read_text()), str(path)
    else:
        raise ConfigurationError(f"There is no {path}. 'safelight up' makes it, or set SAFELIGHT_SIGNING_KEYS.")
    return f"{len(keys)} from {source}, signing with {keys[0].id!r}"


def _address(settings: Settings) -> str:
    if answers(settings.host, settings.port, "/healthz"):
        return f"{settings.base_url} answers"
    check_port(settings)
    return f"{settings.host}:{settings.port} is free; nothing runs there"


def _disk(settings: Settings) -> str:
    folders = [settings.data_dir]
    media = urlsplit(settings.media_store_url)
    if media.scheme == "file":
        folders.append(Path(unquote(media.path)))
    free = {}
    for folder in folders:
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        free[folder] = shutil.disk_usage(existing).free
        if free[folder] < _LEAST_FREE_BYTES:
            raise ConfigurationError(
                f"{free[folder] / 1e9:.2f} GB are free for {folder}. Free some space, or shorten the retention."
            )
    return f"{min(free.values()) / 1e9:.0f} GB free"


def visible_settings(settings: Settings) -> dict[str, Any]:
    """Every setting by its outside name, without secrets."""
    values: dict[str, Any] = {}
    for name, field in setting_names().items():
        value = getattr(settings, field.name)
        if value is not None:
            match name:
                case "database_url":
                    value = shown(value)
                case "signing_keys":
                    value = "(hidden)"
                case _:
                    value = _without_secrets(value) if isinstance(value, str) else value
        values[name] = str(value) if isinstance(value, Path) else value
    return values


def _without_secrets(text: str) -> str:
    """A URL without user and query, where credentials may stand; any other text as it is."""
    parts = urlsplit(text)
    if not parts.scheme or not (parts.query or parts.username):
        return text
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "...", ""))


def _print(settings: dict[str, Any], checks: list[Check]) -> None:
    out = console()
    out.print(Text(f"Safelight {__version__}", style="bold"))
    for name, value in settings.items():
        out.print(Text(f"  {name:<20}", style="dim") + Text("-" if value is None else str(value)))
    out.print()
    for check in checks:
        mark = Text(" ok      ", style="green") if check.ok else Text(" problem ", style="bold red")
        out.print(mark + Text(f"{check.name:<13}", style="bold") + Text(check.detail))
