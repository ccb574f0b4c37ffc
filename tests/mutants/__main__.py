"""Make each wrong change in a copy of the tree, run the tests that ought to notice, and print what they did."""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import msgspec

from safelight.db.embedded import EmbeddedPostgres
from tests.mutants import LEAST_SHARE_NOTICED, ROOT, Mutant, load_mutants
from tests.support.server import open_folder

_PATIENCE_SECONDS = 600
_FAILED, _INTERRUPTED = 1, 2
_FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests made of one mutant. ``by``: the first that failed; empty if none did."""

    area: str
    mutant: Mutant
    by: str
    seconds: float


class Copy:
    """The tree, with an environment of its own whose ``safelight`` is the copy's."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._root = folder
        self._environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("SAFELIGHT_", "PYTHONPATH"))},
            "SAFELIGHT_TEST_DATABASE_URL": database_url,
        }
        self._clock = itertools.count(int(time.time()))
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        packages = Path("tests", "generators", "node_modules")
        (folder / packages).symlink_to(ROOT / packages)
        self._make_environment()

    def run(self, *tests: str, workers: int = 0) -> tuple[int, str]:
        """pytest's exit status and what it printed."""
        command = [str(self._bin / "python"), "-m", "pytest", "-x", "-q", "-n", str(workers), "--timeout", "120"]
        try:
            done = subprocess.run(
                [*command, "-p", "no:cacheprovider", *tests],
                cwd=self._root,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return _FAILED, "FAILED by-never-ending"
        return done.returncode, done.stdout

    def judge(self, area: str, mutant: Mutant) -> Verdict:
        """Make the change, run its tests, take it back."""
        path, started = self._root / mutant.file, time.monotonic()
        original = path.read_text()
        try:
            self._write(path, mutant.applied(original))
            status, output = self.run(*mutant.tests)
        finally:
            self._write(path, original)
        if status not in (0, _FAILED):
            raise SystemExit(f"{mutant.name}: the tests could not be run (pytest ended with {status}).\n{output}")
        found = _FIRST_FAILURE.search(output)
        by = "" if status == 0 else found[1] if found else "a failure without a name"
        return Verdict(area=area, mutant=mutant, by=by, seconds=time.monotonic() - started)

    @property
    def _bin(self) -> Path:
        return self._root / ".venv" / "bin"

    def _make_environment(self) -> None:
        """An environment that has the packages of this one, and the copy in place of this tree."""
        venv.create(self._root / ".venv", symlinks=True)
        (packages,) = (self._root / ".venv" / "lib").glob("python*/site-packages")
        ours = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
        (packages / "tree.pth").write_text(f"{self._root / 'src'}\n{ours}\n")
        for name in Path(sys.executable).parent.iterdir():
            if name.is_file() and not name.is_symlink() and not (self._bin / name.name).exists():
                self._copy_script(name)

    def _copy_script(self, script: Path) -> None:
        data = script.read_bytes()
        if data.startswith(b"#!"):
            data = data.replace(os.fsencode(sys.executable), os.fsencode(self._bin / "python"), 1)
        target = self._bin / script.name
        target.write_bytes(data)
        target.chmod(0o755)

    def _write(self, path: Path, text: str) -> None:
        """Each time a second later: Python takes a compiled file by its source's size and second."""
        path.write_text(text)
        now = next(self._clock)
        os.utime(path, (now, now))


@contextmanager
def _copies(count: int) -> Iterator[list[Copy]]:
    haste = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "300"}
    with open_folder() as folder, EmbeddedPostgres(folder / "server", dies_with_caller=True, settings=haste) as url:
        places = [Path(tempfile.mkdtemp(prefix="tree-", dir=folder)) for _ in range(count)]
        for place in places:
            place.chmod(0o755)
        yield [Copy(place, url) for place in places]


def _chosen(only: str | None) -> list[tuple[str, Mutant]]:
    every = [(area, mutant) for area, mutants in load_mutants().items() for mutant in mutants]
    return [(area, mutant) for area, mutant in every if not only or only in (area, mutant.name)]


def _judge_all(copies: list[Copy], chosen: list[tuple[str, Mutant]]) -> Iterator[Verdict]:
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def judged(pair: tuple[str, Mutant]) -> Verdict:
        copy = free.get()
        try:
            return copy.judge(*pair)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as threads:
        yield from threads.map(judged, chosen)


def _summary(verdicts: list[Verdict]) -> int:
    missed = [verdict for verdict in verdicts if not verdict.by]
    share = 1 - len(missed) / len(verdicts)
    print("\n| area | mutants | noticed |\n|---|---|---|")
    for area, group in itertools.groupby(verdicts, lambda verdict: verdict.area):
        of_area = list(group)
        print(f"| {area} | {len(of_area)} | {sum(bool(verdict.by) for verdict in of_area)} |")
    print(f"| all | {len(verdicts)} | {len(verdicts) - len(missed)} ({share:.1%}) |")
    for verdict in missed:
        print(f"not noticed: {verdict.mutant.name}: {verdict.mutant.explained or 'NOT EXPLAINED'}")
    for verdict in verdicts:
        if verdict.by and verdict.mutant.explained:
            print(f"noticed after all, take its explanation away: {verdict.mutant.name}")
    is_well = share >= LEAST_SHARE_NOTICED and all(verdict.mutant.explained for verdict in missed)
    return 0 if is_well else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", help="an area, or the name of one mutant")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    arguments = parser.parse_args()
    chosen = _chosen(arguments.only)
    if not chosen:
        parser.error(f"there is no area and no mutant {arguments.only!r}")
    with _copies(min(arguments.jobs, len(chosen))) as copies:
        status, output = copies[0].run(*sorted({test for _, mutant in chosen for test in mutant.tests}), workers=2)
        if status != 0:
            print(output, file=sys.stderr)
            print("The tests fail without any change: mend them first.", file=sys.stderr)
            return 2
        verdicts = []
        for verdict in _judge_all(copies, chosen):
            print(
                f"{verdict.area:12} {verdict.seconds:5.1f} s  {verdict.mutant.name}: {verdict.by or 'NOT NOTICED'}",
                flush=True,
            )
            verdicts.append(verdict)
    return _summary(verdicts)


if __name__ == "__main__":
    sys.exit(main())
