"""``safelight doctor``: what is configured, what is reachable, and what to do.

What would stop ``serve``, ``worker`` or ``up`` is in ``checks``; here is what else is worth a look.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import psycopg
from rich.text import Text

from safelight import __version__, wiring
from safelight.cli.checks import CONFIGURATION, media_store, room, without_secrets
from safelight.cli.database import database_url, shown, work_on
from safelight.cli.options import AsJson, DataDir, notes
from safelight.cli.show import cell, console, print_json
from safelight.cli.tcp_port import check_port, is_ours
from safelight.db.migrate import revision_of
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError, SafelightError
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
        answer = {"ok": is_well, "version": __version__, "settings": shown_settings, "checks": checks}
        print_json({**answer, "notes": notes(settings)})
    else:
        _print(shown_settings, checks, notes(settings))
    return 0 if is_well else 1


def run_checks(settings: Settings) -> list[Check]:
    """Try everything that a running system needs."""
    checks = [_try(name, partial(look, settings)) for name, look in CONFIGURATION]
    has_catalog = all(check.ok for check in checks if check.name == "catalog")
    with ExitStack() as stack:
        urls: list[str] = []

        def connect() -> str:
            urls.append(stack.enter_context(database_url(settings)))
            return _database(settings, urls[0])

        checks.append(_try("database", connect))
        if urls:
            connected = msgspec.structs.replace(settings, database_url=urls[0])
            checks.append(_try("clock", lambda: _clock(urls[0])))
            if has_catalog:
                checks.append(_try("work", lambda: _work_under_way(settings, urls[0])))
            checks.append(_try("connections", partial(room, connected)))
        checks.append(_try("media store", partial(media_store, settings)))
    checks += [_try("address", lambda: _address(settings)), _try("disk", lambda: _disk(settings))]
    return checks


def _try(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, detail=look())
    except SafelightError as error:
        return Check(name=name, ok=False, detail=str(error))
    except OSError as error:
        return Check(name=name, ok=False, detail=f"{error}.")


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


def _address(settings: Settings) -> str:
    if is_ours(settings):
        return f"{settings.address}, where a server of this data folder listens"
    check_port(settings)
    return f"{settings.address.removeprefix('http://')} is free; nothing runs there"


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
                case "signing_keys" | "moderation_key":
                    value = "(hidden)"
                case _:
                    value = without_secrets(value) if isinstance(value, str) else value
        values[name] = str(value) if isinstance(value, Path) else value
    return values


def _print(settings: dict[str, Any], checks: list[Check], noted: list[str]) -> None:
    out = console()
    out.print(Text(f"Safelight {__version__}", style="bold"))
    for name, value in settings.items():
        out.print(Text(f"  {name:<21}", style="dim") + Text(cell(value)))
    out.print()
    for check in checks:
        mark = Text(" ok      ", style="green") if check.ok else Text(" problem ", style="bold red")
        out.print(mark + Text(f"{check.name:<13}", style="bold") + Text(cell(check.detail)))
    for note in noted:
        out.print(Text(" note    ", style="yellow") + Text(cell(note)))
