"""A service manager of the test's own: a socket that ``NOTIFY_SOCKET`` names, and all that came over it."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server import eventually

WATCHDOG_SECONDS = 1.2


class Notified:
    """What a service told, in order: ``told`` has the lines of each datagram, and when it came."""

    def __init__(self, link: socket.socket, address: str) -> None:
        self._link = link
        self.told: list[tuple[float, dict[str, str]]] = []
        microseconds = int(WATCHDOG_SECONDS * 1e6)
        self.environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(microseconds)}
        self._thread = threading.Thread(target=self._listen, name="notified", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while data := self._link.recv(65536):
            lines = (line.partition("=") for line in data.decode().splitlines())
            self.told.append((time.monotonic(), {name: value for name, _, value in lines}))

    def close(self) -> None:
        """Listen no longer: an empty datagram is the last."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._link.getsockname())
        self._thread.join()

    def states(self) -> list[str]:
        """Each READY, RELOADING and STOPPING, in order."""
        known = ("READY", "RELOADING", "STOPPING")
        return [name for _, facts in self.told for name in facts if name in known]

    def last(self, name: str) -> str:
        """The last value of a variable."""
        return next((facts[name] for _, facts in reversed(self.told) if name in facts), "")

    def wait_for(self, *states: str) -> None:
        """Until it has told these, and nothing else."""
        eventually(lambda: len(self.states()) >= len(states), f"{states}, not {self.told}")
        assert self.states() == list(states)

    def _last_beat(self) -> float:
        return next((at for at, facts in reversed(self.told) if "WATCHDOG" in facts), 0.0)

    def wait_for_beat(self) -> None:
        """Until it has shown that it lives, once more."""
        before = self._last_beat()
        eventually(lambda: self._last_beat() > before, f"a beat: {self.told[-3:]}")

    def wait_for_silence(self) -> None:
        """Until it has not shown for twice the time that it has: a service manager would have ended it."""
        eventually(lambda: time.monotonic() - self._last_beat() > 2 * WATCHDOG_SECONDS, "silence")


@contextmanager
def open_notified(folder: Path | None = None) -> Iterator[Notified]:
    """One at a path in ``folder``, which all may write to; without one, at an abstract address (unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        if folder is not None:
            address = str(folder / "notify")
            link.bind(address)
            os.chmod(address, 0o777)  # noqa: PTH101
        else:
            address = f"@safelight-test-{secrets.token_hex(8)}"
            link.bind("\0" + address[1:])
        notified = Notified(link, address)
        try:
            yield notified
        finally:
            notified.close()
