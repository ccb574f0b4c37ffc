"""On PYTHONPATH of a program: it reaches nothing but this machine, and every try is written to ``CALLS_ABROAD``."""

import os
import sys
from pathlib import Path

_HOME = {"", "0.0.0.0", "127.0.0.1", "::1", "localhost"}


def _stay_home(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    if name not in _HOME:
        with Path(os.environ["CALLS_ABROAD"]).open("a") as calls:
            calls.write(f"{name}\n")
        raise OSError(f"{name} is not this machine")


sys.addaudithook(_stay_home)
