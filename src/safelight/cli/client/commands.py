"""What the commands that call a server take. What they do is imported when it is to be done.

So ``--help`` and completion import nothing that talks HTTP.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from safelight.cli import fail
from safelight.cli.client.exits import MISUSE
from safelight.cli.client.options import ProfileName


def login(
    *,
    base_url: Annotated[
        str | None, Parameter(help="The server's address. Without it: the profile's, or else http://127.0.0.1:8484.")
    ] = None,
    profile: ProfileName = None,
) -> int:
    """Keep a server's address and a key for it."""
    from safelight.cli.client import login

    return login.login(base_url, profile)


def logout(*, profile: ProfileName = None) -> int:
    """Forget a profile."""
    from safelight.cli.client import login

    return login.logout(profile)


def mcp(
    *,
    out_dir: Annotated[
        Path | None, Parameter(help="Folder to keep each file in that is made; its path is told with the result.")
    ] = None,
    profile: ProfileName = None,
) -> int:
    """Serve MCP on standard input and output."""
    if find_spec("mcp") is None:
        return fail("What serves MCP is not installed. Run: pip install 'safelight[mcp]'.", MISUSE)
    from safelight.cli.client import mcp

    return mcp.serve(profile, out_dir)
