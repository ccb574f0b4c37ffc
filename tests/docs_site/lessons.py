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


class Learner:
    """Follows pages, on a server that the pages start. ``printed`` is what other terminals show."""

    def __init__(self, folder: Path, swaps: Mapping[str, str], settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._port = free_port()
        address = f"http://127.0.0.1:{self._port}"
        nobody = Account(base_url=address, workspace="default", key="sk_...", key_id=0)
        self.reader = Reader(folder, nobody, swaps=swaps)
        self.reader.environment |= {"HOME": str(folder), "SAFELIGHT_PORT": str(self._port)}
        for name in ("SAFELIGHT_BASE_URL", "SAFELIGHT_API_KEY"):
            del self.reader.environment[name]
        self.server: Server | None = None
        self._settings = dict(settings)
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
        """``safelight up`` after some exports.

        A start takes seconds, so the first is with all that later pages start it with, and the rest of their starts are
        that one: what each exports is among it, and the models of its catalog are.
        """
        lines = dict(line.removeprefix("export ").split("=", 1) for line in exports.splitlines())
        given = {name: value.replace("$PWD", str(self.folder)) for name, value in lines.items()}
        if self.server is None:
            self.server = Server(self.folder / "data", port=self._port, env=self._settings)
            self.server.wait_until_ready()
        names = {"SAFELIGHT_CATALOG": str(self.folder / "catalog.toml")}
        assert given.items() <= {**self._settings, **names}.items()
        if "SAFELIGHT_CATALOG" in given:
            assert (self.folder / "catalog.toml").read_text() in Path(self._settings["SAFELIGHT_CATALOG"]).read_text()

    def leave(self) -> None:
        """Close every terminal."""
        try:
            for started, _ in self._others:
                started.terminate()
                started.wait(PATIENCE_SECONDS)
            if self.server is not None:
                self.server.stop(signal.SIGINT)
        finally:
            for started, _ in self._others:
                started.kill()
            if self.server is not None:
                self.server.kill_everything()


@contextmanager
def learning(folder: Path, swaps: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[Learner]:
    """``swaps``: what pages write, and what it is here; ``settings`` are the server's."""
    learner = Learner(folder, swaps, settings)
    try:
        yield learner
    finally:
        learner.leave()
