"""The entry of the processes that ``up`` starts: ``python -P -m safelight.cli.child ROLE PARENT [SOCKET]``.

A child imports what it needs while the database is still starting. Its settings come as one line of JSON on
its standard input, as environment variables and whether it has run before, when everything is there to run on.
Where ``up`` has a service manager, SOCKET is the descriptor over which it hears how the child is.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
from typing import Any

from safelight.cli import close_to_others, fail, fail_unforeseen
from safelight.domain.errors import SafelightError
from safelight.node.processes import end_with_parent
from safelight.node.service_manager import ServiceManager
from safelight.node.settings import load_settings

MISCONFIGURED = os.EX_CONFIG  # it has said why, and starting it again would change nothing

_ROLES = {
    "prepare": "safelight.cli.prepare",
    "serve": "safelight.cli.serve",
    "worker": "safelight.cli.worker",
    "metrics": "safelight.cli.metrics",
}


def main() -> int:
    role, parent, *descriptors = sys.argv[1:]
    end_with_parent(int(parent))
    close_to_others()
    module = importlib.import_module(_ROLES[role])
    line = sys.stdin.readline()
    if not line:
        return 0  # the supervisor has given up
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    start = json.loads(line)
    options: dict[str, Any] = {"is_again": start["is_again"]}
    for descriptor in map(int, descriptors):
        os.set_inheritable(descriptor, False)
        options["manager"] = ServiceManager(socket.socket(fileno=descriptor), start["watchdog_seconds"])
    os.environ.update(start["environment"])
    try:
        module.run(load_settings(), **options)
    except SafelightError as error:
        return fail(str(error), MISCONFIGURED)
    except Exception as error:  # starting it again may help
        return fail_unforeseen(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
