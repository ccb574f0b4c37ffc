"""Somebody who follows the quick start and the tutorials: one folder, one terminal, and others for what goes on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.clients.pages import Block, blocks_of
from tests.clients.reader import Reader
from tests.contract.accounts import Account
from tests.support.server import PATIENCE_SECONDS, Server, eventually, free_port

_UP = "safelight up\n"
# What a later page starts the server anew for is there from the first start, as each takes seconds.
_FROM_THE_START = {"SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1", "SAFELIGHT_SHUTDOWN": "3s"}


class Learner:
    """Follows pages, on a server that the pages start. ``printed`` is what other terminals show."""

    def __init__(self, folder: Path, swaps: Mapping[str, str]) -> None:
        self.folder = folder
        self._port = free_port()
        address = f"http://127.0.0.1:{self._port}"
        nobody = Account(base_url=address, workspace="default", key="sk_...", key_id=0)
        self.reader = Reader(folder, nobody, swaps=swaps)
        self.reader.environment |= {"HOME": str(folder), "SAFELIGHT_PORT": str(self._port)}
        for name in ("SAFELIGHT_BASE_URL", "SAFELIGHT_API_KEY"):
            del self.reader.environment[name]
        self.server: Server | None = None
        self._exports: dict[str, str] = {}
        self._others: list[tuple[subprocess.Popen[bytes], Path]] = []

    def follow(self, page: str, *, until: str = "", since: str = "") -> list[str]:
        """Follow the marked blocks of a page; what each that is run printed.

        ``until``, ``since``: only the blocks before the one that has these words, or those from there on.
        """
        blocks = [block for block in blocks_of(f"../{page}") if block.mark]
        words = until or since
        at = next((number for number, block in enumerate(blocks) if words in block.text), None) if words else 0
        assert at is not None, f"no block of {page} has {words!r}"
        return [
            printed for block in (blocks[:at] if until else blocks[at:]) if (printed := self._follow(block)) is not None
        ]

    def _follow(self, block: Block) -> str | None:
        if block.mark == "run":
            return self.reader.follow(block)
        if block.mark == "background":
            self._go_on(block)
        else:
            assert block.title is not None
            (self.folder / block.title).write_text(self.reader.swapped(block.text))
        return None

    def last_shown(self) -> str:
        """What the terminal shows that was opened last."""
        return self._others[-1][1].read_text()

    def _go_on(self, block: Block) -> None:
        if block.text.endswith(_UP):
            self._start(block.text.removesuffix(_UP))
            return
        log = self.folder / f"terminal-{len(self._others)}.log"
        with log.open("wb") as out:
            started = subprocess.Popen(
                ["sh", "-euc", f"exec {self.reader.swapped(block.text)}"],
                cwd=self.folder,
                env=self.reader.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self._others.append((started, log))
        eventually(lambda: bool(log.read_bytes()) or started.poll() is not None, "its first line")
        assert started.poll() is None, log.read_text()

    def _start(self, exports: str) -> None:
        """``safelight up`` after some exports; nothing new where one runs with them, and no catalog is named."""
        lines = dict(line.removeprefix("export ").split("=", 1) for line in exports.splitlines())
        given = {name: value.replace("$PWD", str(self.folder)) for name, value in lines.items()}
        if self.server is not None and "SAFELIGHT_CATALOG" not in given and given.items() <= self._exports.items():
            return
        self._stop()
        self._exports = {**_FROM_THE_START, **given}
        self.server = Server(self.folder / "data", port=self._port, env=self._exports)
        self.server.wait_until_ready()

    def _stop(self) -> None:
        if self.server is not None:
            self.server.stop(signal.SIGINT)
            self.server = None

    def leave(self) -> None:
        """Close every terminal."""
        try:
            for started, _ in self._others:
                started.terminate()
                started.wait(PATIENCE_SECONDS)
            self._stop()
        finally:
            for started, _ in self._others:
                started.kill()
            if self.server is not None:
                self.server.kill_everything()


@contextmanager
def learning(folder: Path, swaps: Mapping[str, str]) -> Iterator[Learner]:
    learner = Learner(folder, swaps)
    try:
        yield learner
    finally:
        learner.leave()
