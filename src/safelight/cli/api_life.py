"""What ``serve`` tells its service manager: when it can serve, and that each of its API processes lives.

It takes a thread of the process that starts them: Granian has the main one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from safelight.cli.supervisor import answers
from safelight.node.service_manager import Beats, ServiceManager
from safelight.node.settings import Settings

_TICK_SECONDS = 0.25
_BEAT_BYTES = 32


class ApiLife:
    """``processes`` are those that serve now, by number.

    Each beats from its event loop, over a pair of sockets that it has from its parent. The service manager hears that
    all is well for as long as none of them has fallen silent.
    """

    def __init__(self, manager: ServiceManager, settings: Settings, processes: Callable[[], list[int]]) -> None:
        self.manager = manager
        self._settings = settings
        self._processes = processes
        self._beats = Beats(2 * manager.beat_seconds)
        self._receiver, self._sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (self._receiver, self._sender):
            end.setblocking(False)
        self._is_awaited = threading.Event()

    def start(self) -> None:
        """Watch from now on, in a thread that ends with the process."""
        if self.manager.is_there:
            self.await_ready()
            threading.Thread(target=self._watch, name="service manager", daemon=True).start()

    def await_ready(self) -> None:
        """Tell that it is ready as soon as it is."""
        self._is_awaited.set()

    def beat(self) -> None:
        """Have the event loop of this process, which has not begun yet, beat for as long as it turns."""
        if self.manager.watchdog_seconds is None:
            return
        loop = asyncio.get_event_loop()

        def beat() -> None:
            with suppress(OSError):
                self._sender.send(str(os.getpid()).encode())
            loop.call_later(self.manager.beat_seconds, beat)

        loop.call_soon(beat)

    def _watch(self) -> None:
        due = 0.0
        while True:
            if self._is_awaited.is_set() and answers(self._settings.host, self._settings.port, "/readyz"):
                self._is_awaited.clear()
                self.manager.ready(f"Serving on {self._settings.address}.")
            with suppress(BlockingIOError):
                while beat := self._receiver.recv(_BEAT_BYTES):
                    self._beats.heard(int(beat))
            if time.monotonic() >= due and self._beats.all_live(self._processes()):
                self.manager.alive()
                due = time.monotonic() + self.manager.beat_seconds
            time.sleep(_TICK_SECONDS)
