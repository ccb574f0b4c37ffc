"""A picture in the terminal, where that is one that shows pictures: kitty's protocol, or iTerm2's."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

_MOST_BYTES = 8 << 20
_PIECE = 4096


def show_inline(path: Path, mime_type: str) -> None:
    """Show it on stderr, if both streams are a terminal and it is known to show such."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        return
    protocol = protocol_of(os.environ, mime_type)
    if protocol is not None and path.stat().st_size <= _MOST_BYTES:
        sys.stderr.write(protocol(path.read_bytes()))
        sys.stderr.flush()


def protocol_of(environ: Mapping[str, str], mime_type: str) -> Callable[[bytes], str] | None:
    """What makes the terminal's commands of a file's content; None where it is not known to take them.

    Within tmux and screen they would not come through.
    """
    if not mime_type.startswith("image/") or environ.get("TMUX") or environ.get("STY"):
        return None
    if environ.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm"):
        return iterm2
    if (environ.get("KITTY_WINDOW_ID") or environ.get("TERM") == "xterm-kitty") and mime_type == "image/png":
        return kitty
    return None


def iterm2(content: bytes) -> str:
    """Source: iTerm2's documentation, "Inline Images Protocol"."""
    coded = base64.b64encode(content).decode()
    return f"\x1b]1337;File=inline=1;size={len(content)};width=60:{coded}\x07\n"


def kitty(content: bytes) -> str:
    """A PNG. Source: kitty's documentation, "Terminal graphics protocol"."""
    coded = base64.b64encode(content).decode()
    pieces = [coded[at : at + _PIECE] for at in range(0, len(coded), _PIECE)]
    first = "a=T,f=100,c=60,q=2,"
    commands = [
        f"\x1b_G{first if number == 0 else ''}m={int(number < len(pieces) - 1)};{piece}\x1b\\"
        for number, piece in enumerate(pieces)
    ]
    return "".join(commands) + "\n"
