"""The ``safelight`` command.

A command's module is imported when it is that command's turn, so ``safelight --help`` is quick and the
supervisor of ``up`` is small. ``command_table`` has each command's words and help.

up           everything in one foreground command: ``supervisor`` keeps its processes, ``child`` is their
             entry, ``prepare`` readies the database, ``first_start`` says what is there now, ``relay`` tells
             the service manager how they are
serve        the API; ``api_life`` tells the service manager how it is
worker       the runner of videos and upkeep
metrics      what Prometheus is told, by a process beside these (``metrics_address``, ``cluster_gauges``)
migrate      the database's schema
backup       an installation in one file, which restore puts back
checks       what a start needs
audit        what commands change, for the log
options, numbers, tcp_port, show
             what commands are given, and how they print
dashboard    a link that lets the operator in
doctor       what is configured, what is reachable, what to do
keys, workspaces, credit, usage, margins, books
             accounts
models       what is offered, what makes it, and whether that works: ``model_facts`` reads the catalog,
             ``model_checks`` asks the backends
generations  what became of one
provenance   the chain that signs files, and checking one
signing_keys the keys of download links
sweep        deleting what is due, now
docs, service
             pages and units that come with the package, found by ``shipped``
nginx_config a web server in front that checks links itself: ``nginx/`` holds what it is made of
archive      what ended long ago, out of the database
webhooks     who is told of events, and how that went
comfyui      from a workflow to a piece of a catalog
model_server pipelines of the catalog on Ray Serve, as a backend of one's own
client/      what makes things: over HTTP, as any client
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cyclopts import App, CycloptsError, Group

from safelight import __version__
from safelight.cli import command_table
from safelight.domain.errors import SafelightError
from safelight.domain.text import printable

_MISUSE = 2
_INTERRUPTED = 130
_TERMINATED = 143
_MAKING = Group("Make things, on a server that runs", sort_key=1)
_RUNNING = Group("Run an installation", sort_key=2)


def main() -> None:
    """The console script."""
    close_to_others()
    open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what this terminal cannot write
    signal.signal(signal.SIGTERM, _leave)  # in order, so that a database started for this command is stopped
    try:
        status = run(sys.argv[1:])
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is left of this process has nothing to say of a Ctrl-C
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run one command; its exit status. Expected trouble is one line on stderr."""
    try:
        app = make_app()
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except SafelightError as error:
        return fail(str(error))
    except CycloptsError as error:
        message = " ".join(str(error).split())
        return fail(f"{message} 'safelight {_command_of(app, arguments)}--help' says more.", _MISUSE)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return _leave_to_nobody()
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # as tables and help texts tell it
            return _leave_to_nobody()
        raise
    except Exception as error:
        return fail_unforeseen(error)
    return result if isinstance(result, int) else 0


def _leave_to_nobody() -> int:
    """The reader of our output, such as head, has had enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def fail_unforeseen(error: Exception, status: int = 1) -> int:
    """Say what the system refuses, or that this is a mistake of ours; the exit status.

    The text of an error that nobody foresaw may hold anything, so it is shown to those alone who look for the fault.
    """
    if isinstance(error, OSError) and error.strerror:
        return fail(f"{error.filename or 'The system refuses'}: {error.strerror}.", status)
    if os.environ.get("SAFELIGHT_LOG_LEVEL") == "debug":
        raise error
    places = traceback.extract_tb(error.__traceback__)
    place = next((place for place in reversed(places) if "safelight" in Path(place.filename).parts), places[-1])
    return fail(
        f"This is a fault of Safelight's own: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}. "
        "SAFELIGHT_LOG_LEVEL=debug shows all of it.",
        status,
    )


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)


def close_to_others() -> None:
    """What this process and its children write is not for other users, whatever the shell's umask permits."""
    os.umask(os.umask(0o077) | 0o027)


def open_streams() -> None:
    """What was closed of the three standard streams leads nowhere: what is opened next would take its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def fail(message: str, status: int = 1) -> int:
    """Say what is wrong, in one line on stderr; the exit status."""
    print(f"safelight: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)
    return status


def _command_of(app: App, arguments: list[str]) -> str:
    commands, _, _ = app.parse_commands(arguments)
    return "".join(f"{command} " for command in commands)


def make_app() -> App:
    """Every command with its help. Text that stood in a command's module would cost its import to list."""
    app = App(name="safelight", version=__version__, help="A self-hosted API that makes images and videos.")
    for name, target, text in command_table.OVER_HTTP:
        app.command(f"{__name__}.client.{target}", name=name, help=text, group=_MAKING)
    for name, target, text in command_table.ALONE:
        app.command(f"{__name__}.{target}", name=name, help=text, group=_RUNNING)
    for group, about, commands in command_table.GROUPS:
        member = App(name=group, help=about, group=_RUNNING)
        for name, target, text in commands:
            member.command(f"{__name__}.{target}", name=name, help=text)
        app.command(member)
    return app


def every_command() -> list[tuple[str, ...]]:
    """The words of every command, such as ``("keys", "create")``."""
    return client_commands() + commands_of_an_installation()


def client_commands() -> list[tuple[str, ...]]:
    """Of those that call a server over HTTP."""
    return [(name,) for name, _, _ in command_table.OVER_HTTP]


def commands_of_an_installation() -> list[tuple[str, ...]]:
    """Of those that work on its database and files."""
    alone = [(name,) for name, _, _ in command_table.ALONE]
    return alone + [(group, name) for group, _, commands in command_table.GROUPS for name, _, _ in commands]
