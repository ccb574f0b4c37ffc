"""``safelight doctor``: what is configured, what is reachable, and what to do.

What would stop ``serve``, ``worker`` or ``up`` is in ``checks``; here is what else is worth a look.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from rich.text import Text

from safelight import __version__, wiring
from safelight.cli.checks import CONFIGURATION, media_store, room
from safelight.cli.database import database_url, shown, work_on
from safelight.cli.metrics_address import look_at_metrics_address
from safelight.cli.options import AsJson, DataDir, notes
from safelight.cli.show import cell, console, print_json
from safelight.cli.tcp_port import check_port, is_ours
from safelight.db.migrate import revision_of
from safelight.lifecycle.records import connections_under_way
from safelight.node.checks import Check, tried
from safelight.node.settings import Settings, load_settings, setting_names
from safelight.wiring import checks


def doctor(*, as_json: AsJson = False, data_dir: DataDir = None) -> int:
    """Check the installation and say what to do."""
    settings = load_settings(data_dir=data_dir)
    shown_settings = visible_settings(settings)
    found = run_checks(settings)
    is_well = all(check.ok for check in found)
    if as_json:
        answer = {"ok": is_well, "version": __version__, "settings": shown_settings, "checks": found}
        print_json({**answer, "notes": notes(settings)})
    else:
        _print(shown_settings, found, notes(settings))
    return 0 if is_well else 1


def run_checks(settings: Settings) -> list[Check]:
    """Try everything that a running system needs."""
    found = [tried(name, partial(look, settings)) for name, look in CONFIGURATION]
    has_catalog = all(check.ok for check in found if check.name == "catalog")
    with ExitStack() as stack:
        urls: list[str] = []

        def connect() -> str:
            urls.append(stack.enter_context(database_url(settings)))
            return _database(settings, urls[0])

        found.append(tried("database", connect))
        if urls:
            connected = msgspec.structs.replace(settings, database_url=urls[0])
            found.append(tried("clock", lambda: _clock(urls[0])))
            if has_catalog:
                found.append(tried("work", lambda: _work_under_way(settings, urls[0])))
            found.append(tried("connections", partial(room, connected)))
        found.append(tried("media store", partial(media_store, settings)))
    found += [tried("address", lambda: _address(settings)), tried("metrics", lambda: look_at_metrics_address(settings))]
    found.append(tried("disk", lambda: checks.disk(settings)))
    return found


def _database(settings: Settings, url: str) -> str:
    with psycopg.connect(url) as connection:
        version, revision = connection.info.server_version, revision_of(connection)
    place = shown(url) if settings.database_url else "embedded"
    return f"{place}, PostgreSQL {version // 10000}.{version % 10000}, revision {revision}"


def _clock(url: str) -> str:
    return checks.clock(work_on(url, checks.database_seconds))


def _work_under_way(settings: Settings, url: str) -> str:
    return checks.work_under_way(wiring.load_catalog(settings), work_on(url, connections_under_way))


def _address(settings: Settings) -> str:
    if is_ours(settings):
        return f"{settings.address}, where a server of this data folder listens"
    check_port(settings)
    return f"{settings.address.removeprefix('http://')} is free; nothing runs there"


def visible_settings(settings: Settings) -> dict[str, Any]:
    """Every setting by its outside name, without secrets."""
    values: dict[str, Any] = {}
    for name, field in setting_names().items():
        value = getattr(settings, field.name)
        if value is not None and _is_secret(field.type):
            value = "(hidden)"
        elif isinstance(value, str):
            value = shown(value) if name == "database_url" else checks.without_secrets(value)
        values[name] = str(value) if isinstance(value, Path) else value
    return values


def _is_secret(type_: msgspec.inspect.Type) -> bool:
    """Whether a value of it is to be shown to nobody."""
    match type_:
        case msgspec.inspect.Metadata(type=within, extra=extra):
            return bool((extra or {}).get("is_secret")) or _is_secret(within)
        case msgspec.inspect.UnionType(types=types):
            return any(map(_is_secret, types))
    return False


def _print(settings: dict[str, Any], found: list[Check], noted: list[str]) -> None:
    out = console()
    out.print(Text(f"Safelight {__version__}", style="bold"))
    for name, value in settings.items():
        out.print(Text(f"  {name:<21}", style="dim") + Text(cell(value)))
    out.print()
    for check in found:
        mark = Text(" ok      ", style="green") if check.ok else Text(" problem ", style="bold red")
        out.print(mark + Text(f"{check.name:<13}", style="bold") + Text(cell(check.detail)))
    for note in noted:
        out.print(Text(" note    ", style="yellow") + Text(cell(note)))
