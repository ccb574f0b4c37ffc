"""The sweep: files that are due, deleted among many that are kept, and proof that it does not look at those."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench.report import Report, at_least, at_most
from bench.servers import COMMAND, BenchError, folder, postgres
from bench.tenants import settings, tenants
from safelight.db.pool import statement

_DUE, _KEPT = 100_000, 500_000
_FILE_BYTES = 4096
_BATCH = 1000
_DAYS = 7

# Due in the order in which they were made; the keys of 20,000 after each other lie in one day's folder.
_ROWS = """
insert into generations (id, workspace_id, type, model, request, body_sha256, billable_unit, unit_price_nanos, quantity,
    held_nanos, charged_nanos, charged_thousandths, state, deadline, retention_seconds, finished_at, deletes_at)
select 'req-01M8' || lpad(n::text, 22, '0'), (select min(id) from workspaces), 'image', 'bench',
    '{"prompt": "a grey square"}', '', 'image', 0, 1, 0, 0, 0, 'completed', now(), 604800, now(),
    now() + case when n <= %(due)s then interval '-1 h' else interval '7 days' end + n * interval '1 ms'
from generate_series(1, %(due)s + %(kept)s) n;
"""
_MEDIA = """
insert into media (generation_id, index, key, mime_type, size_bytes, sha256, width, height, deletes_at)
select id, 0,
    'media/2026/11/' || lpad((1 + right(id, 6)::integer / 20000 %% %(days)s)::text, 2, '0') || '/' || id || '-0.png',
    'image/png', %(size)s, sha256(id::bytea), 64, 64, deletes_at
from generations
"""


async def run(report: Report) -> None:
    due, kept = (_DUE // 20, _KEPT // 20) if report.brief else (_DUE, _KEPT)
    with folder() as base, postgres(base) as database:
        await tenants(database.url, "retention", 1)
        report.say(f"{due:,} files that are due, {kept:,} rows of kept ones")
        _rows(database.url, due, kept)
        _files(database.url, base / "data" / "media", due)
        _plan(report, database.url, due)
        environment = {**settings(base, database.url), "SAFELIGHT_DATA_DIR": str(base / "data")}
        (base / "data").mkdir(exist_ok=True)
        (base / "data" / "signing-keys").write_text(f"k1:{os.urandom(32).hex()}\n")
        report.say("the sweep")
        taken = _sweep(environment, due)
        idle = _sweep(environment, 0)
        report.add(f"{due:,} files deleted among {kept:,} kept", due / (taken - idle), "/s", reach=at_least(3000))
        report.add("a sweep with nothing to do, its start included", idle * 1000, "ms")


def _rows(url: str, due: int, kept: int) -> None:
    params = {"due": due, "kept": kept, "days": _DAYS, "size": _FILE_BYTES}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_ROWS, params)
        connection.execute(_MEDIA, params)
        connection.execute("vacuum analyze generations")
        connection.execute("vacuum analyze media")


def _files(url: str, root: Path, due: int) -> None:
    """The files that are due, on disk."""
    with psycopg.connect(url) as connection:
        keys = [row[0] for row in connection.execute("select key from media where deletes_at < now()")]
    if len(keys) != due:
        raise BenchError(f"{len(keys)} files are due, not {due}.")
    for parent in {(root / key).parent for key in keys}:
        parent.mkdir(parents=True, exist_ok=True)
    content = os.urandom(_FILE_BYTES)
    for key in keys:
        (root / key).write_bytes(content)
    os.sync()


def _plan(report: Report, url: str, due: int) -> None:
    """How many rows the sweep's statement touches for one batch."""
    text = statement("tombstone_due").replace("%(limit)s", str(_BATCH))
    with psycopg.connect(url) as connection:
        row = connection.execute(f"explain (analyze, format json) {text}").fetchone()
        connection.rollback()
    nodes = list(_nodes(row[0][0]["Plan"])) if row else []
    if any(node["Node Type"] == "Seq Scan" for node in nodes):
        raise BenchError(f"The sweep reads a whole table: {json.dumps(nodes)[:2000]}")
    most = max(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes)
    report.add(f"rows touched for a batch of {_BATCH:,}, of {due:,} due", most, "rows", reach=at_most(_BATCH))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _sweep(environment: dict[str, str], expected: int) -> float:
    """Run the command; the seconds it took."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SAFELIGHT_")}
    started = time.monotonic()
    done = subprocess.run(
        [COMMAND, "sweep", "--json", "--days", "0"],
        capture_output=True,
        text=True,
        check=False,
        env={**clean, **environment},
        timeout=900,
    )
    taken = time.monotonic() - started
    if done.returncode != 0 or json.loads(done.stdout)["deleted"] != expected:
        raise BenchError(f"The sweep said: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return taken
