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
AsJson = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Print the API's own JSON on stdout.")
]
Id = Annotated[str, Parameter(name="id", help="The generation's id.")]
Output = Annotated[
    str | None,
    Parameter(
        name=["--output", "-o"],
        help="The file, or a folder. {id}, {n} and {ext} stand for the id, the number and the extension.",
    ),
]
Force = Annotated[bool, Parameter(negative="", show_default=False, help="Replace a file that is there.")]
Opens = Annotated[
    bool,
    Parameter(name="--open", negative="", show_default=False, help="Open it with what the desktop shows such with."),
]
