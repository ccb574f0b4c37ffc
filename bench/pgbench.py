"""The peer of ``submit``: pgbench running the very statements of submit.sql and settle.sql, and nothing else.

The scripts are made from the SQL files: each named parameter becomes an expression over pgbench's variables that
has the same type and the same size as what the application sends. A parameter that is new in a file, and unknown
here, is an error: the two cannot drift apart.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from bench.servers import BenchError, Postgres
from bench.tenants import IMAGE, IMAGE_PRICE_NANOS
from safelight.db.pool import statement
from tests.support.tenants import Tenant

CLIENTS = 32
_PARAMETER = re.compile(r"%\((\w+)\)s")
_RATE = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
_COUNT = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)

# `number` is new in every transaction and grows with time, as the application's ids do. The tenant changes with
# every transaction, in turn, as the keys of the HTTP load do.
_PROLOGUE = """\
\\set turn :turn + 1
\\set number :base + :turn * 1024 + :client_id
\\set tenant (:turn * :clients + :client_id) % :tenants
\\set workspace_id :first_workspace + :tenant
\\set api_key_id :first_key + :tenant
"""
_ID = "('req-0' || lpad(:number::text, 25, '0'))"
_EXPRESSIONS: Mapping[str, str] = {
    "id": _ID,
    "run_token": "lpad(:number::text, 32, '0')::uuid",
    "workspace_id": ":workspace_id::bigint",
    "api_key_id": ":api_key_id::bigint",
    "is_capped": "false",
    "type": ":type::text",
    "model": ":model::text",
    "request": ":request::jsonb",
    "connection": "'noop'::text",
    "upstream_model": ":model::text",
    "binding_options": "'{}'::jsonb",
    "report": "null::jsonb",
    "body_sha256": ":body_sha256::bytea",
    "idempotency_key": "null::text",
    "webhook_url": "null::text",
    "end_user": "null::text",
    "remixed_from": "null::text",
    "way_in": "'v2'::text",
    "traceparent": "null::text",
    "low_balance_nanos": "null::bigint",
    "is_stored": "true",
    "billable_unit": ":billable_unit::text",
    "unit_price_nanos": "(:price_nanos::bigint)",
    "held_nanos": "(:price_nanos::bigint)",
    "charged_nanos": "(:price_nanos::bigint)",
    "quantity": "1",
    "charged_thousandths": "1000",
    "default_rpm": "(:limit::integer)",
    "default_concurrency": "(:limit::integer)",
    "lease_seconds": "10",
    "deadline_seconds": "280",
    "retention_seconds": "604800",
    "state": ":state::text",
    "error_code": "null::text",
    "error_message": "null::text",
    "unseen": "false",
    "sent_after_seconds": "0",
    "frees_key": "false",
    "may_be_made": "false",
    "cost_nanos": "null::bigint",
    "seed": "null::bigint",
    "loss": "null::jsonb",
    "media": f"replace(:media::text, 'ID', {_ID})::jsonb",
}
_SPEC = {
    "prompt": IMAGE["prompt"],
    "aspect_ratio": "1:1",
    "resolution": "1K",
    "width": 64,
    "height": 64,
    "output_format": "png",
    "duration_seconds": None,
    "sound": None,
    "references": [],
}
_FILE = {
    "index": 0,
    "key": "media/2026/01/01/ID-0.png",
    "size_bytes": 134,
    "sha256": "5a" * 32,
    "mime_type": "image/png",
    "width": 64,
    "height": 64,
    "duration_seconds": None,
    "fps": None,
    "has_sound": None,
}


class PgbenchRun(msgspec.Struct, frozen=True):
    """``transactions``: generations submitted and settled."""

    rate: float
    transactions: int


def pgbench(server: Postgres, base: Path, tenants: list[Tenant], seconds: float) -> PgbenchRun:
    """Submit and settle for so long, for these tenants in turn, over 32 connections. Raises ``BenchError``."""
    path = base / "pgbench.sql"
    path.write_text(script())
    variables = _variables(tenants)
    program = Path(psutil.Process(server.pid).exe()).with_name("pgbench")
    command = [str(program), "--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", "--jobs=2"]
    options = [f"--time={max(1, round(seconds))}", f"--file={path}"]
    defines = [f"--define={name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        [*command, *options, *defines, server.url], capture_output=True, text=True, check=False, timeout=seconds + 60
    )
    rate, count = _RATE.search(done.stdout), _COUNT.search(done.stdout)
    if done.returncode or rate is None or count is None:
        raise BenchError(f"pgbench said: {(done.stderr or done.stdout)[-2000:]}")
    return PgbenchRun(rate=float(rate[1]), transactions=int(count[1]))


def script() -> str:
    """One pgbench transaction script: both statements, each a transaction of its own."""
    return "\n".join([_PROLOGUE, *(_translated(name) for name in ("submit", "settle"))])


def _translated(name: str) -> str:
    def expression(match: re.Match[str]) -> str:
        try:
            return _EXPRESSIONS[match[1]]
        except KeyError:
            raise BenchError(f"{name}.sql has a parameter {match[1]!r} that bench/pgbench.py does not know.") from None

    lines = [line.partition("--")[0].rstrip() for line in statement(name).splitlines()]
    return _PARAMETER.sub(expression, "\n".join(line for line in lines if line)).replace("%%", "%") + "\n"


def _variables(tenants: list[Tenant]) -> dict[str, str | int]:
    first = tenants[0]
    for place, tenant in enumerate(tenants):
        if (tenant.id, tenant.key_id) != (first.id + place, first.key_id + place):
            raise BenchError("The tenants' ids do not follow each other.")
    return {
        "turn": 0,
        "base": time.time_ns(),
        "clients": CLIENTS,
        "tenants": len(tenants),
        "first_workspace": first.id,
        "first_key": first.key_id,
        "type": "image",
        "model": str(IMAGE["model"]),
        "request": msgspec.json.encode(_SPEC).decode(),
        "body_sha256": "\\x" + "5a" * 32,
        "billable_unit": "image",
        "price_nanos": IMAGE_PRICE_NANOS,
        "limit": 100_000_000,
        "state": "completed",
        "media": msgspec.json.encode([_FILE]).decode(),
    }
