"""Results on stdout, everything else on stderr; and how a command runs to its exit status."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from safelight.cli import fail
from safelight.cli.client.exits import INTERRUPTED, OK, CommandFailed
from safelight.domain.errors import SafelightError
from safelight.domain.text import printable

_BETWEEN = re.compile(r"[\t\n\r]+")  # as such, JSON has them nowhere but between its values


def note(text: str) -> None:
    """A line on stderr, for people."""
    print(printable(text), file=sys.stderr, flush=True)


def result(text: str) -> None:
    """A line on stdout, for people and scripts."""
    print(printable(text), flush=True)


def result_json(body: bytes) -> None:
    """The API's own JSON on stdout, every digit of it, on a line of its own.

    What no terminal should be sent is escaped, which in JSON is the same text.
    """
    sys.stdout.flush()
    _write(printable(_BETWEEN.sub(" ", body.decode("utf-8", "replace").strip())).encode() + b"\n")


def run(work: Callable[[], Coroutine[Any, Any, int | None]], *, as_json: bool = False) -> int:
    """Run a command's asynchronous work; its exit status."""
    return guarded(lambda: asyncio.run(work()), as_json=as_json)


def guarded(work: Callable[[], int | None], *, as_json: bool = False) -> int:
    """Do a command's work; its exit status. What it fails with is told in one line.

    ``as_json``: where the API said why, that is on stdout as well. What waits for somebody's typing belongs here and
    not into ``run``, whose loop would not hear a Ctrl-C meanwhile.
    """
    try:
        return work() or OK
    except CommandFailed as error:
        return told(error, as_json=as_json)
    except SafelightError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED


def told(error: CommandFailed, *, as_json: bool) -> int:
    """Tell an error; its exit status."""
    if as_json and error.body:
        result_json(error.body)
    return fail(str(error), error.status)


def _write(content: bytes) -> None:
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # what stands for it in a test
        sys.stdout.write(content.decode())
    else:
        buffer.write(content)
    sys.stdout.flush()
