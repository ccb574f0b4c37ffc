"""What the commands that call a server take. What they do is imported when it is to be done.

So ``--help`` and completion import nothing that talks HTTP.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

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
