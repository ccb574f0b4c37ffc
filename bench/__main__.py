"""``python -m bench``: measure, print one table, write bench/out/results.json."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from bench import (
    api,
    archive,
    backup,
    chaos,
    crowd,
    dashboard,
    download,
    durability,
    footprint,
    growth,
    metrics,
    nodes,
    overhead,
    render,
    retention,
    signing,
    statements,
    streams,
    submit,
    underway,
)
from bench import report as reports
from bench.report import Report, Row
from bench.servers import BenchError

Bench = Callable[[Report], Coroutine[None, None, None]]

BENCHES: dict[str, Bench] = {
    "api": api.run,
    "render": render.run,
    "signing": signing.run,
    "footprint": footprint.run,
    "submit": submit.run,
    "durability": durability.run,
    "nodes": nodes.run,
    "download": download.run,
    "nginx": download.run_nginx,
    "retention": retention.run,
    "statements": statements.run,
    "growth": growth.run,
    "backup": backup.run,
    "archive": archive.run,
    "crowd": crowd.run,
    "overhead": overhead.run,
    "chaos": chaos.run,
    "underway": underway.run,
    "dashboard": dashboard.run,
    "metrics": metrics.run,
    "streams": streams.run,
}

app = App(name="bench", help="Measure Safelight on this machine. docs/benchmarks.md says what and against what.")


@app.default
def bench(
    *,
    only: Annotated[list[str] | None, Parameter(help=f"Benches to run; of {', '.join(BENCHES)}.")] = None,
    brief: Annotated[bool, Parameter(negative="", help="Shorter runs, to see whether the benches work.")] = False,
    markdown: Annotated[bool, Parameter(negative="", help="Print the last results as Markdown; run nothing.")] = False,
) -> int:
    """Run the benches, print one table and write bench/out/results.json."""
    if markdown:
        print(reports.markdown(reports.load()))
        return 0
    unknown = set(only or ()) - set(BENCHES)
    if unknown:
        print(f"There is no bench {', '.join(unknown)}. There are: {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    return run_all([name for name in BENCHES if not only or name in only], brief=brief)


def run_all(names: list[str], *, brief: bool) -> int:
    """Run some benches; 1 if one could not be run. Its earlier rows then stay away."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    measured: list[Row] = []
    failed = False
    for name in names:
        report = Report(name, console, seconds=2 if brief else 10, brief=brief)
        try:
            asyncio.run(BENCHES[name](report))
        except BenchError as error:
            failed = True
            console.print(f"{name}: {error}", style="red", markup=False)
        measured += report.rows
    reports.save(reports.merge(reports.load(), measured, again=names))
    # Where the output goes to a file, no column may be cut.
    Console(width=None if sys.stdout.isatty() else 160).print(reports.table(measured, _machine()))
    return 1 if failed else 0


def _machine() -> str:
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, load average {load}"


if __name__ == "__main__":
    sys.exit(app())
