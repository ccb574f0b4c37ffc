"""``safelight completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

from typing import Literal

from safelight.cli import make_app

Shell = Literal["bash", "zsh", "fish"]


def script_for(shell: Shell) -> str:
    """The script. Every command is imported for it, so it is made once and kept in a file."""
    return make_app().generate_completion(prog_name="safelight", shell=shell)
