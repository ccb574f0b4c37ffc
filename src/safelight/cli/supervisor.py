"""The processes of ``up``: started, watched, started again when they die, and ended together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from safelight.cli.child import MISCONFIGURED
from safelight.domain.errors import ConfigurationError
from safelight.node.service_manager import ServiceManager, messages
from safelight.node.settings import EVERY_ADDRESS

_TICK_SECONDS = 0.2
_QUICK_SECONDS = 10.0  # a process that lived shorter died quickly
_MOST_QUICK_DEATHS = 5
_LONGEST_PAUSE_SECONDS = 8.0
_READY_SECONDS = 120.0


class AlreadyExplained(Exception):
    """A child has said what is wrong."""


class Child:
    """One process of ours: ``role`` is what it runs, ``title`` what people call it.

    One that is not needed (``is_needed``) is started again however often it dies. Where there is a ``manager``, it
    tells us what others tell that.
    """

    def __init__(
        self,
        role: str,
        title: str,
        *,
        stdout: int | None = None,
        is_needed: bool = True,
        manager: ServiceManager | None = None,
    ) -> None:
        self.title = title
        self._is_needed = is_needed
        self._command = [sys.executable, "-P", "-m", "safelight.cli.child", role, str(os.getpid())]
        self._watchdog_seconds: float | None = None
        self._receiver: socket.socket | None = None
        self._passed: tuple[socket.socket, ...] = ()
        if manager is not None and manager.is_there:
            self._watchdog_seconds = manager.watchdog_seconds
            self._receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._receiver.setblocking(False)
            self._passed = (sender,)  # kept open, for the process that takes this one's place
            self._command.append(str(sender.fileno()))
        self._stdout = stdout
        self._quick_deaths = 0
        self._has_run = False
        self._start_again_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, once it is started."""
        if self._process is None:
            raise RuntimeError(f"the {self.title} is not started")
        return self._process

    def start(self) -> None:
        """Start it; it imports, and waits for its settings. Ctrl-C in the terminal is not for it."""
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=self._stdout,
            start_new_session=True,
            pass_fds=[end.fileno() for end in self._passed],
        )

    def go(self, environment: Mapping[str, str]) -> None:
        """Hand over the settings."""
        start = {
            "environment": dict(environment),
            "is_again": self._has_run,
            "watchdog_seconds": self._watchdog_seconds,
        }
        self._has_run = True
        with suppress(BrokenPipeError):  # it has died; its status will tell
            self._pipe(json.dumps(start) + "\n")

    def _pipe(self, text: str) -> None:
        if self.process.stdin is not None:
            try:
                self.process.stdin.write(text.encode())
            finally:
                with suppress(BrokenPipeError):
                    self.process.stdin.close()

    def answer(self) -> bytes:
        """What it prints before it ends well. Raises ``AlreadyExplained`` or ``ConfigurationError``."""
        output = self.process.stdout.read() if self.process.stdout is not None else b""
        self.process.wait()
        self.check_started()
        return output

    def check_started(self) -> None:
        """Raise if it ended badly."""
        status = self.process.poll()
        if status == MISCONFIGURED:
            raise AlreadyExplained
        if status:
            raise ConfigurationError(
                f"The {self.title} ended with {_status(status)} at its start. What it said stands above."
            )

    def keep(self, environment: Mapping[str, str], report: Callable[[str], object]) -> None:
        """Start it again if it died, after a pause that grows. Raises when it dies again and again, and is needed."""
        now = time.monotonic()
        if self._start_again_at is not None:
            if now >= self._start_again_at:
                self._start_again_at = None
                self.start()
                self.go(environment)
            return
        status = self.process.poll()
        if status is None:
            return
        self.end_now()
        if status == MISCONFIGURED and self._is_needed:
            raise AlreadyExplained
        quick = now - self.started_at < _QUICK_SECONDS
        self._quick_deaths = self._quick_deaths + 1 if quick else 1
        if self._quick_deaths >= _MOST_QUICK_DEATHS and self._is_needed:
            raise ConfigurationError(
                f"The {self.title} died {_MOST_QUICK_DEATHS} times in a row, at last with {_status(status)}. "
                "What it said stands above; 'safelight doctor' may know more."
            )
        pause = min(0.5 * 2 ** (self._quick_deaths - 1), _LONGEST_PAUSE_SECONDS)
        report(f"the {self.title} died with {_status(status)}; starting it again in {pause:g} s")
        self._start_again_at = now + pause

    @property
    def has_link(self) -> bool:
        """Whether it can tell us how it is."""
        return self._receiver is not None

    def messages(self) -> list[dict[str, str]]:
        """What it told us since we last asked."""
        return [] if self._receiver is None else messages(self._receiver)

    def reload(self) -> None:
        """Have it take up a changed catalog and changed keys."""
        if not self.has_ended():
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGHUP)

    def ask_to_end(self) -> None:
        if self._process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                self.process.terminate()

    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def end_now(self) -> None:
        """Kill it and what it left of its process group."""
        if self._process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def end_all(children: list[Child], grace_seconds: float, in_a_hurry: Callable[[], bool]) -> None:
    """Ask every child to end, wait, and kill what is left."""
    deadline = time.monotonic() + grace_seconds
    for child in children:
        child.ask_to_end()
    while not all(child.has_ended() for child in children):
        if time.monotonic() > deadline or in_a_hurry():
            break
        time.sleep(0.02)
    for child in children:
        child.end_now()


def wait_until_ready(host: str, port: int, children: list[Child]) -> None:
    """Return when the API says that it can serve. Raises if a child ends before, or it takes too long."""
    deadline = time.monotonic() + _READY_SECONDS
    while not answers(host, port, "/readyz"):
        for child in children:
            child.check_started()
            if child.has_ended():
                raise ConfigurationError(f"The {child.title} ended at its start. What it said stands above.")
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"The API was not ready within {_READY_SECONDS:g} seconds. 'safelight doctor' may know why."
            )
        time.sleep(0.02)


def answers(host: str, port: int, path: str) -> bool:
    """Whether a GET is answered with 200. A plain socket: an HTTP client is large for a process that watches."""
    host = EVERY_ADDRESS.get(host, host)
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(request)
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def _status(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


def tick() -> None:
    """Wait a moment between two looks at the children."""
    time.sleep(_TICK_SECONDS)
