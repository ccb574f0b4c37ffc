"""The tables: what clients saw in each phase, and what was found at the end."""

from __future__ import annotations

from collections import Counter

import msgspec
from rich.console import Console
from rich.table import Table

from bench.rehearsal.load import Load
from bench.rehearsal.proof import Proof
from bench.report import OUT

RESULTS = OUT / "rehearsal.json"
_COLUMNS = (
    "phase",
    "orders",
    "calls",
    "errors that reached the caller",
    "repeats by the client",
    "image p50 / p95 / max, s",
    "video p50 / p95 / max, s",
    "orders to the backend",
)


class PhaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One phase as its clients saw it. Seconds are from an order to its image, or to the answer that has its video."""

    phase: str
    orders: int
    calls: int
    errors: dict[str, int]
    repeats: dict[str, int]
    image_seconds: list[float]
    video_seconds: list[float]
    backend_orders: int


class Results(msgspec.Struct, frozen=True, kw_only=True):
    phases: list[PhaseRow]
    proof: Proof


def results(phases: list[str], load: Load, proof: Proof) -> Results:
    return Results(phases=[_row(phase, load, proof) for phase in phases], proof=proof)


def save(found: Results) -> None:
    OUT.mkdir(exist_ok=True)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


def load_results() -> Results:
    """Of the last rehearsal. Raises ``FileNotFoundError`` where there was none."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Results)


def show(found: Results, console: Console) -> None:
    phases = Table(*_COLUMNS, title="Rehearsal", title_justify="left", title_style="bold")
    for row in found.phases:
        phases.add_row(*_cells(row))
    checks = Table("at the end", "found", title_justify="left")
    for name, count in found.proof.facts.items():
        checks.add_row(name, str(count))
    checks.add_section()
    for check in found.proof.checks:
        told = str(check.found) if not check.which else f"{check.found}: {', '.join(check.which)}"
        checks.add_row(check.name, told, style="red" if check.found else None)
    console.print(phases)
    console.print(checks)


def markdown(found: Results) -> str:
    """For docs/benchmarks.md."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---|--:|--:|---|---|--:|--:|--:|"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in found.phases]
    lines += ["", "| at the end | found |", "|---|--:|"]
    lines += [f"| {name} | {count} |" for name, count in found.proof.facts.items()]
    lines += [f"| {check.name} | {check.found} |" for check in found.proof.checks]
    return "\n".join(lines)


def _row(phase: str, load: Load, proof: Proof) -> PhaseRow:
    wishes = [wish for wish in load.wishes if wish.phase == phase]
    seconds = {
        type_: sorted(
            round(wish.answered_at - wish.asked_at, 3)
            for wish in wishes
            if wish.type == type_ and wish.answered_at is not None
        )
        for type_ in ("image", "video")
    }
    return PhaseRow(
        phase=phase,
        orders=len(wishes),
        calls=load.calls[phase],
        errors=_of(phase, load.errors),
        repeats=_of(phase, load.repeats),
        image_seconds=seconds["image"],
        video_seconds=seconds["video"],
        backend_orders=sum(proof.orders.get(wish.prompt, 0) for wish in wishes),
    )


def _of(phase: str, counted: Counter[tuple[str, str]]) -> dict[str, int]:
    return {kind: count for (where, kind), count in sorted(counted.items()) if where == phase}


def _cells(row: PhaseRow) -> tuple[str, ...]:
    return (
        row.phase,
        str(row.orders),
        str(row.calls),
        _counts(row.errors),
        _counts(row.repeats),
        _spread(row.image_seconds),
        _spread(row.video_seconds),
        str(row.backend_orders),
    )


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counted.items()) or "0"


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return ""
    p50, p95 = (seconds[min(int(len(seconds) * share), len(seconds) - 1)] for share in (0.5, 0.95))
    return f"{p50:.1f} / {p95:.1f} / {seconds[-1]:.1f}"
