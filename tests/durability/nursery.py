"""``python -m tests.durability.nursery``: imports Safelight once, and forks a process of it for each order.

An order is a line of JSON on standard input: ``argv``, ``env`` and ``log``; its answer is the process's number. So a
test that needs twenty processes pays for one start. They end with this one, and this one with its input.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

from safelight import cli
from safelight.node.processes import end_with_parent

_IMPORTED_AHEAD = ("safelight.cli.serve", "safelight.cli.worker", "safelight.db.migrate", "alembic.command")


def main() -> None:
    for name in _IMPORTED_AHEAD:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    parent = os.getpid()
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line), parent)
        print(child, flush=True)


def _become(order: dict[str, Any], parent: int) -> None:
    os.setsid()
    end_with_parent(parent, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir("/")
    status = 1
    try:
        status = cli.run(order["argv"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
