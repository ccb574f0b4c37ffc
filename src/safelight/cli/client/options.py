"""Options that the commands that call a server share."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

ProfileName = Annotated[
    str | None,
    Parameter(
        name="--profile",
        help="The profile to use, as 'safelight login' made it. Without it: SAFELIGHT_PROFILE, or else 'default'.",
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the API's own JSON on stdout.")]
