"""``safelight up``: everything in one foreground command.

This process only watches, so it imports little. The children start at once and import while the database
starts; each gets its settings when what it needs is there: ``prepare`` when the database is up, the others
when
``prepare`` is done, the API before the worker.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec
from rich.console import Console
from rich.text import Text

from safelight import __version__
from safelight.cli import fail, supervisor
from safelight.cli.metrics_address import check_metrics_address, make_listener
from safelight.cli.options import DEFAULT_WORKSPACE, DataDir, Host, Port, Workers, as_environment, load_to_start
from safelight.cli.relay import Relay
from safelight.cli.supervisor import AlreadyExplained, Child
from safelight.cli.tcp_port import check_port
from safelight.db.embedded import EmbeddedPostgres
from safelight.domain.errors import ConfigurationError
from safelight.domain.text import printable
from safelight.node.data_folder import FileLock, explained, prepare
from safelight.node.operator_files import read_toml
from safelight.node.service_manager import ServiceManager
from safelight.node.settings import Settings
from safelight.node.signing_key_file import ensure_signing_keys

_PROMPT = "A watercolor painting of a mountain village at dawn"
_EXAMPLE = {
    "model": "seedream-5-lite",
    "prompt": _PROMPT,
    "aspect_ratio": "16:9",
    "resolution": "2K",
    "output_format": "png",
}


def up(*, host: Host = None, port: Port = None, workers: Workers = None, data_dir: DataDir = None) -> int:
    """Run everything here: database, API and worker."""
    manager = ServiceManager.from_environment()
    settings = load_to_start(listens=True, data_dir=data_dir, host=host, port=port, workers=workers)
    return Up(settings, manager).run()


class _Stop(BaseException):
    """A signal asks to stop."""


class Up:
    """One run of everything."""

    def __init__(self, settings: Settings, manager: ServiceManager) -> None:
        self._manager = manager
        self._settings = msgspec.structs.replace(settings, data_dir=prepare(settings.data_dir))
        self._lock = FileLock(self._settings.data_dir / "up.lock")
        self._postgres: EmbeddedPostgres | None = None
        self._children: list[Child] = []
        self._stopping = False
        self._in_a_hurry = False
        self._reload_asked = False

    def run(self) -> int:
        """Start, watch until a signal comes, and end everything; the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            self._take_folder()
            check_port(self._settings)
            check_metrics_address(self._settings)
            self._start()
            return self._watch()
        except _Stop:
            return 0
        except AlreadyExplained:
            return 1
        finally:
            self._end()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first signal stops in order; one more stops at once. A hangup that is no closed terminal reloads."""
        if number == signal.SIGHUP and not (sys.stdin and sys.stdin.isatty()):
            self._reload_asked = True
        elif self._stopping:
            self._in_a_hurry = True
        else:
            self._stopping = True
            raise _Stop

    def _take_folder(self) -> None:
        with explained(self._settings.data_dir):
            if not self._lock.acquire(wait=False):
                holder = self._lock.read_note() or "unknown"
                raise ConfigurationError(
                    f"The data folder {self._settings.data_dir} is in use by another 'safelight up' (process "
                    f"{holder}). Stop it, or choose another folder with --data-dir and another --port."
                )
            self._lock.note(f"{os.getpid()}\n")

    def _start(self) -> None:
        settings = self._settings
        ready = Child("prepare", "preparation of the database", stdout=subprocess.PIPE)
        lasting = [Child("serve", "API", manager=self._manager), Child("worker", "worker", manager=self._manager)]
        if settings.metrics is not None:
            lasting.append(make_listener())
        self._children = [ready, *lasting]
        for child in self._children:
            child.start()
        ensure_signing_keys(settings)
        if settings.database_url is None:
            self._postgres = EmbeddedPostgres(settings.data_dir, dies_with_caller=True)
            settings = msgspec.structs.replace(settings, database_url=self._postgres.open())
        self._environment = as_environment(settings)
        ready.go(self._environment)
        made = json.loads(ready.answer())
        ready.end_now()
        self._children = lasting
        # The API first: what is wrong with the settings is said once.
        lasting[0].go(self._environment)
        supervisor.wait_until_ready(settings.host, settings.port, lasting)
        for child in lasting[1:]:
            child.go(self._environment)
        _print_summary(settings, made["key"], made["play_credit"], made["link"])

    def _watch(self) -> NoReturn:
        relay = Relay(self._manager, self._children, f"Serving on {self._settings.address}, and working.")
        while True:
            supervisor.tick()
            if self._postgres is not None and self._postgres.revive():
                _report("the embedded PostgreSQL had ended; it runs again")
            is_asked, self._reload_asked = self._reload_asked, False
            if is_asked:
                relay.reload()
            for child in self._children:
                child.keep(self._environment, _report)
                if is_asked:
                    child.reload()
            relay.tick()

    def _end(self) -> None:
        self._stopping = True
        self._manager.stopping()
        # Work is handed back before this; the rest of the grace is the database's.
        grace_seconds = max(0.5, self._settings.shutdown_seconds - 0.5)
        supervisor.end_all(self._children, grace_seconds, lambda: self._in_a_hurry)
        if self._postgres is not None:
            self._postgres.close()
        self._lock.release()


def _report(message: str) -> None:
    fail(message)


def _print_summary(settings: Settings, new_key: str | None, play_credit: bool, link: str | None) -> None:
    """Where everything is, and a request to try."""
    key_file = _short(settings.data_dir / "api-key")
    rows = [("API", settings.base_url), ("docs", f"{settings.base_url}/docs")]
    if settings.metrics is not None:
        rows.append(("metrics", f"http://{settings.metrics}/metrics"))
    rows += [("data", _short(settings.data_dir)), ("key", f"{key_file} (workspace {DEFAULT_WORKSPACE!r})")]
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if link is not None:  # good once, for ten minutes: a log keeps what it is given
        page = f"{settings.base_url}/dashboard ('safelight dashboard' prints a link that lets you in)"
        rows.insert(0, ("dashboard", link if console.is_terminal else page))
    console.print()
    console.print(Text(f"Safelight {__version__} is ready.", style="bold green"))
    for name, value in rows:
        console.print(Text(f"  {name:<10}", style="dim") + Text(printable(value)))
    if new_key is not None and console.is_terminal:
        console.print(Text("\nYour API key, shown this once: ") + Text(new_key, style="bold"))
    elif new_key is not None:  # a log keeps what it is given
        console.print(Text(f"\nA new API key is in {printable(key_file)}, and shown nowhere else."))
    if play_credit:
        console.print(f"The workspace {DEFAULT_WORKSPACE!r} has play money to start with.")
    console.print(Text("\nTry it:\n", style="bold"))
    print(_curl(settings, key_file))
    console.print(Text("\nCtrl-C stops everything.", style="dim"))


def _curl(settings: Settings, key_file: str) -> str:
    kind, body = "image", _EXAMPLE
    if settings.catalog is not None:  # the API has read it: it is one
        models = read_toml(settings.catalog)["models"]
        model = next((each for each in models if each["type"] == kind), models[0])
        kind, body = model["type"], {"model": model["id"], "prompt": _PROMPT}
    return (
        f"curl -s {settings.base_url}/v2/{kind}s/generations \\\n"
        f'  -H "Authorization: Bearer $(cat {shlex.quote(key_file)})" \\\n'
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(body))}"
    )


def _short(path: Path) -> str:
    """The path as seen from the working folder, if it lies in it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
