"""What ``up`` tells its service manager, made of what its processes tell ``up``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from safelight.cli.supervisor import Child
from safelight.node.service_manager import NOT_RELOADED, Beats, ServiceManager


class Relay:
    """``ready`` is what it says of itself while all is well."""

    def __init__(self, manager: ServiceManager, children: Sequence[Child], ready: str) -> None:
        self._manager = manager
        self._children = [child for child in children if child.has_link]
        self._ready = ready
        self._beats = Beats(2 * manager.beat_seconds)
        self._due = 0.0
        self._reloading: set[Child] = set()
        self._refusals: list[str] = []
        manager.ready(ready)

    def reload(self) -> None:
        """The children are about to be asked to reload; it is over when each has answered, or ended."""
        if self._manager.is_there:
            self._manager.reloading()
            self._reloading = {child for child in self._children if not child.has_ended()}
            self._refusals = []

    def tick(self) -> None:
        """Pass on what came since the last look."""
        if not self._manager.is_there:
            return
        waited = bool(self._reloading)
        for child in self._children:
            self._hear(child)
        if waited and not self._reloading:
            self._manager.ready(" ".join(dict.fromkeys(self._refusals)) or self._ready)
        if time.monotonic() >= self._due and self._beats.all_live(self._children):
            self._manager.alive()
            self._due = time.monotonic() + self._manager.beat_seconds

    def _hear(self, child: Child) -> None:
        for facts in child.messages():
            if "WATCHDOG" in facts:
                self._beats.heard(child)
            if "READY" in facts and child in self._reloading:
                self._reloading.discard(child)
                if facts.get("STATUS", "").startswith(NOT_RELOADED):
                    self._refusals.append(facts["STATUS"])
        if child.has_ended():
            self._beats.forget(child)
            self._reloading.discard(child)
