"""What a node's processes counted, as one: counters never fall, whichever of them end.

A process that ended leaves its file. Its counts are added to those of all that ended before, which are on record
beside it, and then the file is removed; what is on record names it, so that a gatherer which is killed in between adds
it once. A reboot, and another release, begin anew.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from safelight.node.data_folder import FileLock
from safelight.node.processes import this_machine
from safelight.telemetry.exceptions import without_message
from safelight.telemetry.metrics import DECLARED, Declaration, Merge
from safelight.telemetry.snapshots import (
    Labels,
    Sample,
    Snapshot,
    files_of_processes,
    gatherer_lock,
    read_snapshot,
    write_word,
)

log = structlog.get_logger()

_FORGOTTEN_SECONDS = 86400.0
"""A file of another start of this machine, or of another machine, that nobody wrote for so long is removed."""

Values: TypeAlias = dict[tuple[str, Labels], float]
"""By a series' name and labels."""


def _series(declaration: Declaration) -> list[str]:
    """The names that a metric's series have."""
    if declaration.kind == "histogram":
        return [declaration.name + suffix for suffix in ("_bucket", "_sum", "_count")]
    return [declaration.name]


_MERGE: dict[Merge, Callable[[float, float], float]] = {"sum": operator.add, "max": max, "min": min}
_DECLARED_OF = {name: declaration for declaration in DECLARED.values() for name in _series(declaration)}


class Gatherer:
    """The one of a data folder on this machine that adds up what has ended, while it holds the lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = gatherer_lock(folder)
        self._count = 0
        self._ended: Values = {}
        self._folded: list[str] = []
        self._held: list[FileLock] = []
        self._last_words: dict[str, tuple[int, Snapshot]] = {}
        self._passed_over: set[str] = set()
        self._is_failing = False

    def acquire(self) -> bool:
        """Take the part of the gatherer; False: another has it. Raises ``OSError``."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._lock.acquire(wait=False):
            return False
        self._count, ended = read_snapshot(self._lock.path)
        if ended is not None:
            self._ended = _by_series(ended.samples)
            self._folded = ended.folded
        return True

    def release(self) -> None:
        for lock in (*self._held, self._lock):
            lock.release()

    def look(self) -> None:
        """Add up what has ended since the last look, and remove its files."""
        for path in self._others():
            lock = FileLock(path)
            try:
                is_free = lock.acquire(wait=False)
            except OSError as error:
                self._pass_over(path, error)
                continue
            if is_free:
                self._held.append(lock)  # until it is removed: nobody is to begin a file that goes
                self._fold(path)
            else:
                lock.release()
        if self._folded:
            self._put_on_record()
        self._remove_forgotten()

    def values(self) -> Values:
        """The values of the node: of those that live, and, of what only rises, of those that have ended."""
        found = dict(self._ended)
        for path in self._others():
            snapshot = self._word_of(path)
            if snapshot is not None:
                _add(found, _by_series(snapshot.samples))
        return found

    def _others(self) -> list[Path]:
        """The files whose values are not added up yet."""
        return [path for path in files_of_processes(self._folder) if path.name not in self._folded]

    def _word_of(self, path: Path) -> Snapshot | None:
        """What a process wrote last. A word that is being written is passed over, and nothing goes back to an older."""
        count, snapshot = read_snapshot(path)
        known = self._last_words.get(path.name)
        if snapshot is not None and (known is None or count >= known[0]):
            self._last_words[path.name] = count, snapshot
            return snapshot
        return None if known is None else known[1]

    def _fold(self, path: Path) -> None:
        snapshot = self._word_of(path)
        if snapshot is not None:
            values = _by_series(snapshot.samples)
            _add(self._ended, {key: value for key, value in values.items() if _only_rises(key[0])})
        self._last_words.pop(path.name, None)
        self._folded.append(path.name)

    def _pass_over(self, path: Path, error: OSError) -> None:
        """Leave alone what is no file of this user's, such as one that root's command left."""
        if path.name not in self._passed_over:
            self._passed_over.add(path.name)
            log.warning("a file of metrics is passed over", file=str(path), **without_message(error))

    def _put_on_record(self) -> None:
        samples: list[Sample] = [(name, labels, value) for (name, labels), value in self._ended.items()]
        word = msgspec.msgpack.encode(Snapshot(samples, self._folded))
        try:
            write_word(self._lock.fileno(), self._count + 1, word)
            self._count += 1
            for name in self._folded:
                (self._folder / name).unlink(missing_ok=True)
        except OSError as error:  # their files stay, and are passed over: it is tried again at the next look
            if not self._is_failing:
                log.warning("metrics of ended processes are not recorded", **without_message(error))
            self._is_failing = True
        else:
            self._is_failing = False
            self._folded = []
            for lock in self._held:
                lock.release()
            self._held = []

    def _remove_forgotten(self) -> None:
        ours = f"{this_machine()}."
        for path in self._folder.iterdir():
            if not path.name.startswith(ours) and path.suffix in (".process", ".ended"):
                try:
                    if time.time() - path.stat().st_mtime > _FORGOTTEN_SECONDS:
                        path.unlink(missing_ok=True)
                except OSError:
                    continue


class Page(Collector):
    """Values as Prometheus reads them."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for (name, labels), value in self._values.items():
            declaration = _DECLARED_OF[name]
            metric = found.get(declaration.name)
            if metric is None:
                metric = Metric(declaration.name.removesuffix("_total"), declaration.text, declaration.kind)
                found[declaration.name] = metric
            metric.add_sample(name, dict(labels), value)
        return (found[name] for name in DECLARED if name in found)


def as_text(values: Values) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Page(values))
    return generate_latest(registry)


def _by_series(samples: Iterable[Sample]) -> Values:
    """Those that are declared: another release may have had others."""
    return {(name, labels): value for name, labels, value in samples if name in _DECLARED_OF}


def _only_rises(name: str) -> bool:
    return _DECLARED_OF[name].kind != "gauge"


def _add(to: Values, more: Values) -> None:
    for key, value in more.items():
        if key not in to:
            to[key] = value
        else:
            to[key] = _MERGE[_DECLARED_OF[key[0]].merge](to[key], value)
