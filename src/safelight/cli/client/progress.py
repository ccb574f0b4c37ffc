"""How far the work is, on stderr: a bar on a terminal, a line for each tenth elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from safelight.cli.client.output import note
from safelight.cli.show import console


class Progresses:
    """The progress of some generations, as a context manager."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._hidden = 0
        self._bars: Progress | None = None
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
            # Notes go above the bars; what goes to stdout is left alone, as it may be no terminal.
            self._bars = Progress(
                *columns,
                TimeElapsedColumn(),
                console=console(stderr=True),
                transient=True,
                redirect_stdout=False,
            )

    def __enter__(self) -> Progresses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, generation_id: str) -> None:
        """Show that it is under way."""
        if self._bars is not None and generation_id not in self._tasks:
            self._tasks[generation_id] = self._bars.add_task(generation_id, total=1.0)
            if not self._hidden:
                self._bars.start()

    def show(self, generation_id: str, progress: float) -> None:
        """``progress``: from 0 to 1."""
        if self._bars is not None:
            self.begin(generation_id)
            self._bars.update(self._tasks[generation_id], completed=progress)
            return
        tenth = int(progress * 10)
        if tenth > self._told.get(generation_id, 0):
            self._told[generation_id] = tenth
            note(f"{generation_id} {tenth * 10}%")

    def end(self, generation_id: str) -> None:
        """It is under way no more."""
        if self._bars is not None and generation_id in self._tasks:
            self._bars.remove_task(self._tasks.pop(generation_id))
            if not self._tasks:
                self._bars.stop()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """No bars while inside: results are written then, perhaps to the same terminal."""
        self._hidden += 1
        if self._bars is not None:
            self._bars.stop()
        try:
            yield
        finally:
            self._hidden -= 1
            if self._bars is not None and self._tasks and not self._hidden:
                self._bars.start()
