"""The entry of the processes that ``up`` starts: ``python -P -m safelight.cli.child ROLE PARENT``.

A child imports what it needs while the database is still starting. Its settings come as one line of JSON on
its standard input, as environment variables and whether it has run before, when everything is there to run on.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from safelight.cli import close_to_others, fail, fail_unforeseen
from safelight.domain.errors import SafelightError
from safelight.node.processes import end_with_parent
from safelight.node.settings import load_settings

MISCONFIGURED = os.EX_CONFIG  # it has said why, and starting it again would change nothing

_ROLES = {
    "prepare": "safelight.cli.prepare",
    "serve": "safelight.cli.serve",
    "worker": "safelight.cli.worker",
    "metrics": "safelight.cli.metrics",
}


def main() -> int:
    role, parent = sys.argv[1:]
    end_with_parent(int(parent))
    close_to_others()
    module = importlib.import_module(_ROLES[role])
    line = sys.stdin.readline()
    if not line:
        return 0  # the supervisor has given up
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    start = json.loads(line)
    os.environ.update(start["environment"])
    try:
        module.run(load_settings(), is_again=start["is_again"])
    except SafelightError as error:
        return fail(str(error), MISCONFIGURED)
    except Exception as error:  # starting it again may help
        return fail_unforeseen(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
