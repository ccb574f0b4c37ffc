"""What the service manager that started this process, such as systemd, is told of it.

Source: sd_notify(3) and sd_watchdog_enabled(3): datagrams of ``NAME=value`` lines, to the socket that ``NOTIFY_SOCKET``
names. The processes of ``up`` tell ``up`` the same in the same words, over a pair of sockets.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Hashable, Iterable
from contextlib import suppress

NOT_RELOADED = "Not reloaded:"
"""How a status begins that tells why things are left as they are."""

_SEND_SECONDS = 1.0
_MOST_BYTES = 4096
_STATUS_BYTES = 512
_IS_TIME = re.compile(r"0*[1-9][0-9]{0,18}", re.ASCII).fullmatch


class ServiceManager:
    """Is told how the process stands; one without a ``link`` is nobody.

    ``watchdog_seconds``: it ends a process that it has not heard of for so long; None, it does not.
    """

    def __init__(self, link: socket.socket | None = None, watchdog_seconds: float | None = None) -> None:
        self._link = link
        self.watchdog_seconds = watchdog_seconds if link is not None else None
        if link is not None:
            link.settimeout(_SEND_SECONDS)

    @classmethod
    def from_environment(cls) -> ServiceManager:
        """That of the environment, which does not name it any longer: it is none of the children's."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        microseconds, process = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        if address[:1] not in ("/", "@"):
            return cls()
        link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            link.connect("\0" + address[1:] if address[0] == "@" else address)  # an abstract name: unix(7)
        except OSError:
            link.close()
            return cls()
        is_watched = _IS_TIME(microseconds) is not None and process in ("", str(os.getpid()))
        return cls(link, int(microseconds) / 1e6 if is_watched else None)

    @property
    def is_there(self) -> bool:
        return self._link is not None

    @property
    def beat_seconds(self) -> float:
        """How often it is to hear of who lives: four times before it gives up."""
        return (self.watchdog_seconds or 60.0) / 4

    def ready(self, status: str) -> None:
        """It works, or works again after ``reloading``."""
        self._tell("READY=1", _status(status))

    def reloading(self) -> None:
        """It takes up a changed configuration, until it is ``ready`` again."""
        now_micros = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now_micros}", "STATUS=Reloading.")

    def not_reloaded(self, reason: str) -> None:
        """What it was to take up is wrong: it works as before."""
        self.ready(f"{NOT_RELOADED} {reason}")

    def stopping(self) -> None:
        self._tell("STOPPING=1", "STATUS=Stopping.")

    def status(self, status: str) -> None:
        """How it stands, in a line for people."""
        self._tell(_status(status))

    def alive(self) -> None:
        """It does what it is there for."""
        if self.watchdog_seconds is not None:
            self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._link is not None:
            with suppress(OSError):  # nobody listens any longer, and nothing depends on it here
                self._link.send("\n".join(lines).encode())


def _status(text: str) -> str:
    line = " ".join(text.split())
    return f"STATUS={line.encode()[:_STATUS_BYTES].decode(errors='ignore')}"


def messages(link: socket.socket) -> list[dict[str, str]]:
    """What came over a socket that does not block, since the last look."""
    found = []
    with suppress(BlockingIOError, ConnectionError):
        while data := link.recv(_MOST_BYTES):
            lines = data.decode(errors="replace").splitlines()
            found.append({name: value for name, _, value in (line.partition("=") for line in lines)})
    return found


class Beats:
    """Who has shown life, and when. One who has shown none yet is still starting, and others watch over that."""

    def __init__(self, silence_seconds: float) -> None:
        self._silence_seconds = silence_seconds
        self._last: dict[Hashable, float] = {}

    def heard(self, who: Hashable) -> None:
        self._last[who] = time.monotonic()

    def forget(self, who: Hashable) -> None:
        self._last.pop(who, None)

    def all_live(self, those: Iterable[Hashable]) -> bool:
        """Whether none of those has fallen silent."""
        now = time.monotonic()
        self._last = {who: self._last[who] for who in those if who in self._last}
        return all(now - last <= self._silence_seconds for last in self._last.values())
