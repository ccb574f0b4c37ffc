"""What was measured: rows, the table that people read, and the file that programs read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "out"
RESULTS = OUT / "results.json"


class Reach(msgspec.Struct, frozen=True):
    """What a figure is meant to reach: a bound on the value or, with ``of_peer``, on its ratio to the peer's."""

    side: Literal["at most", "at least"]
    bound: float
    of_peer: bool = False

    def __str__(self) -> str:
        return f"{self.side} {self.bound:g}{' of peer' if self.of_peer else ''}"

    def is_met(self, value: float, ratio: float | None) -> bool:
        figure = ratio if self.of_peer else value
        if figure is None:
            return False
        return figure <= self.bound if self.side == "at most" else figure >= self.bound


def at_most(bound: float, *, of_peer: bool = False) -> Reach:
    return Reach("at most", bound, of_peer)


def at_least(bound: float, *, of_peer: bool = False) -> Reach:
    return Reach("at least", bound, of_peer)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. ``peer`` is the peer's figure in the same unit, ``ratio`` ours divided by it."""

    bench: str
    name: str
    value: float
    unit: str
    peer: float | None = None
    ratio: float | None = None
    reach: str | None = None
    met: bool | None = None


class Report:
    """Takes one bench's figures. ``seconds`` is how long a steady load lasts; ``brief`` asks for fewer repeats."""

    def __init__(self, bench: str, console: Console, *, seconds: float, brief: bool) -> None:
        self.seconds = seconds
        self.brief = brief
        self.rows: list[Row] = []
        self._bench = bench
        self._console = console

    def add(self, name: str, value: float, unit: str, *, peer: float | None = None, reach: Reach | None = None) -> None:
        """Keep a figure."""
        ratio = value / peer if peer else None
        self.rows.append(
            Row(
                bench=self._bench,
                name=name,
                value=_significant(value),
                unit=unit,
                peer=None if peer is None else _significant(peer),
                ratio=None if ratio is None else _significant(ratio),
                reach=None if reach is None else str(reach),
                met=None if reach is None else reach.is_met(value, ratio),
            )
        )

    def say(self, text: str) -> None:
        """Tell whoever waits what is being done."""
        self._console.print(f"{self._bench}: {text}", style="dim")


def merge(kept: Iterable[Row], new: Iterable[Row], *, again: Iterable[str]) -> list[Row]:
    """The rows of a run, with those kept of benches that were not run again."""
    names = set(again)
    return sorted([row for row in kept if row.bench not in names] + list(new), key=lambda row: row.bench)


def load() -> list[Row]:
    """The rows of earlier runs; none where there was no run."""
    try:
        return msgspec.json.decode(RESULTS.read_bytes(), type=list[Row])
    except (FileNotFoundError, msgspec.DecodeError):
        return []


def save(rows: list[Row]) -> None:
    OUT.mkdir(exist_ok=True)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")


def table(rows: list[Row], title: str) -> Table:
    """For a terminal."""
    made = Table("bench", "what", title=title, title_justify="left", title_style="bold")
    for column in ("value", "peer", "ratio"):
        made.add_column(column, justify="right")
    made.add_column("reach")
    made.add_column("met")
    last = None
    for row in rows:
        if last not in (None, row.bench):
            made.add_section()
        style = "red" if row.met is False else None
        made.add_row("" if row.bench == last else row.bench, *_cells(row), style=style)
        last = row.bench
    return made


def markdown(rows: list[Row]) -> str:
    """For docs/benchmarks.md."""
    lines = ["| bench | what | value | peer | ratio | reach | met |", "|---|---|--:|--:|--:|---|---|"]
    return "\n".join(lines + [f"| {row.bench} | {' | '.join(_cells(row))} |" for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        f"{_plain(row.value)} {row.unit}",
        "" if row.peer is None else _plain(row.peer),
        "" if row.ratio is None else _plain(row.ratio),
        row.reach or "",
        "" if row.met is None else ("yes" if row.met else "no"),
    )


def _significant(value: float) -> float:
    """Four digits: more would only be noise."""
    return float(f"{value:.4g}")


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"
