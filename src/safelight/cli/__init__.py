# Over 500 lines: the table of commands.
"""The ``safelight`` command.

A command's module is imported when it is that command's turn, so ``safelight --help`` is quick and the
supervisor of ``up`` is small.

up           everything in one foreground command: ``supervisor`` keeps its processes, ``child`` is their
             entry, ``prepare`` readies the database, ``relay`` tells the service manager how they are
serve        the API; ``api_life`` tells the service manager how it is
worker       the runner of videos and upkeep
metrics      what Prometheus is told, by a process beside these (``metrics_address``, ``cluster_gauges``)
migrate      the database's schema
backup       an installation in one file, which restore puts back
checks       what a start needs
audit        what commands change, for the log
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
from safelight.domain.errors import SafelightError
from safelight.domain.text import printable

_MISUSE = 2
_INTERRUPTED = 130
_TERMINATED = 143


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
    for name, target, text in _CLIENT_COMMANDS:
        app.command(f"{__name__}.client.{target}", name=name, help=text, group=_MAKING)
    for name, target, text in _COMMANDS:
        app.command(f"{__name__}.{target}", name=name, help=text, group=_RUNNING)
    for group, about, commands in _GROUPS:
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
    return [(name,) for name, _, _ in _CLIENT_COMMANDS]


def commands_of_an_installation() -> list[tuple[str, ...]]:
    """Of those that work on its database and files."""
    alone = [(name,) for name, _, _ in _COMMANDS]
    return alone + [(group, name) for group, _, commands in _GROUPS for name, _, _ in commands]


_MAKING = Group("Make things, on a server that runs", sort_key=1)
_RUNNING = Group("Run an installation", sort_key=2)

_CLIENT_COMMANDS = (
    (
        "generate",
        "commands:generate",
        """Make an image or a video, and save it.

        safelight generate "a red boat" -o boat.png

        Tells the id on stderr as soon as there is one, and the file's path on stdout. 'safelight get' goes on with
        what was interrupted. Ends with 1 if it failed, 3 if moderation refused, 4 without funds, 5 if the outcome is
        not known, 6 if the server is away.""",
    ),
    (
        "get",
        "commands:get",
        """Fetch what was ordered, by its id or with --last.

        Waits for its end. With --last it goes on with what a 'generate' that was interrupted or killed began, and pays
        for nothing twice.""",
    ),
    ("wait", "commands:wait", "Wait until generations have ended, and tell how."),
    (
        "quote",
        "commands:quote",
        "Tell the exact price of what 'generate' would make with the same options.\n\nNothing is held or made.",
    ),
    ("jobs", "commands:jobs", "List what was ordered, newest first.\n\nWith --follow, tell each change as it comes."),
    (
        "top",
        "commands:top",
        "Watch what runs, what waits, what failed last, and what it costs.\n\nWhere stdout is no terminal: once.",
    ),
    ("cancel", "commands:cancel", "Cancel a video, as far as it still can be."),
    (
        "listen",
        "commands:listen",
        """Get webhooks without a public address: follow events, and hand them to a server of yours.

        safelight listen --forward-to http://127.0.0.1:3000/hooks

        Each is signed, posted until the server answers, and told in a line. What happened while this was not running
        comes first.""",
    ),
    ("trigger", "commands:trigger", "Send a test event to whoever listens.\n\nsafelight trigger generation.completed"),
    (
        "login",
        "commands:login",
        """Keep a server's address and a key for it.

        Asks for the key, or reads it from stdin, and keeps it in a file that only you read, if the server takes it.""",
    ),
    ("logout", "commands:logout", "Forget a server's address and its key."),
    (
        "mcp",
        "commands:mcp",
        """Serve MCP on standard input and output.

        For hosts on this machine, such as coding agents: the same tools as at a server's /mcp, on any server that a
        profile names. Needs the extra 'mcp'.""",
    ),
    (
        "completion",
        "commands:completion",
        """Print a script that completes commands and options in bash, zsh or fish.

        safelight completion bash > ~/.local/share/bash-completion/completions/safelight""",
    ),
)
_COMMANDS = (
    (
        "up",
        "up:up",
        """Run everything here: database, API and worker.

        The one command for a laptop or a single machine. The first start makes the data folder with its own
        PostgreSQL (unless SAFELIGHT_DATABASE_URL is set), a workspace and an API key, and prints a request to try.
        Ctrl-C stops everything; the data folder keeps it all for the next start.""",
    ),
    (
        "serve",
        "serve:serve",
        """Run the API alone.

        It makes images and takes orders for videos, which 'safelight worker' makes. For several machines: give
        them one SAFELIGHT_DATABASE_URL, one SAFELIGHT_MEDIA_URL and the same SAFELIGHT_SIGNING_KEYS.""",
    ),
    (
        "worker",
        "worker:worker",
        """Run one worker alone: it makes videos.

        Start as many as you like, on as many machines; they share the work through the database.""",
    ),
    (
        "migrate",
        "migrate:migrate",
        """Bring the database to this release.

        Makes the tables in an empty database. Safe to run again, and beside running processes. 'safelight up'
        does it by itself.""",
    ),
    ("backup", "backup:backup", "Back up database, media and keys in one file.\n\nBeside a running 'up', or without."),
    ("restore", "restore:restore", "Put a backup into a new data folder.\n\nSays what that means for work under way."),
    (
        "doctor",
        "doctor:doctor",
        """Check the installation and say what to do.

        Shows what is configured (without secrets) and tries what is needed: database, media store, catalog,
        signing keys, port, disk and clock. Ends with status 1 if something is wrong.""",
    ),
    (
        "dashboard",
        "dashboard:dashboard",
        """Print a link that lets you in at the dashboard.

        It lets its first user in as the operator, who sees every workspace. It works once, for ten minutes.""",
    ),
    (
        "model-server",
        "model_server:model_server",
        """Deploy the catalog's pipelines on Ray Serve.

        Weights of your own, on your own graphics cards, behind an API that a connection of kind 'openai' with the
        flavor 'model-server' speaks. Starts a Ray of its own, or joins one. Needs the extra 'ray'.""",
    ),
    (
        "sweep",
        "sweep:sweep",
        """Delete what is due, and look for what is lost.

        Running workers do it on schedule. This does it now, and names files without a row and rows without a file.""",
    ),
    (
        "nginx-config",
        "nginx_config:nginx_config",
        "Write a configuration of nginx that checks links and sends files itself.\n\nFrom then on new files are noted "
        "for it. Once more after each change of signing keys, and 'nginx -s reload'.",
    ),
    (
        "books",
        "books:books",
        """Prove that the money adds up.

        Rebuilds every balance from the ledger's postings, and every day's usage from the generations, and compares:
        what came since the books were last closed, or all of it with --all. With --archives the files of the archive
        are read as well. Ends with status 1 if anything has drifted.""",
    ),
    (
        "docs",
        "docs:docs",
        """Read the documentation of this release.

        safelight docs operating

        Without a page: lists them all, and the folder that they are in.""",
    ),
    (
        "service",
        "service:service",
        """Print a unit of systemd that runs what is installed here.

        safelight service > /etc/systemd/system/safelight.service

        'safelight-api' and 'safelight-worker' are for several machines.""",
    ),
    (
        "usage",
        "usage:usage",
        """Show what was used and what was refused.

        By UTC date, workspace, model and key. A refusal is counted where nothing was held yet.""",
    ),
    (
        "margins",
        "margins:margins",
        """Show what was charged beside what it cost, and what was lost.

        By UTC date, model and connection; then each order that a backend bills, or may have billed, and that nobody was
        charged for.""",
    ),
)
_GROUPS = (
    (
        "provenance",
        "See how files are signed, and check one (C2PA).",
        (
            (
                "init",
                "provenance:init",
                "Make a root and a signing certificate of your own.\n\n'safelight up' does it on its first start.",
            ),
            ("show", "provenance:show", "Show the chain that signs, and until when."),
            (
                "verify",
                "provenance:verify",
                "Check a file's provenance.\n\nEnds with status 0 only if it is signed, unchanged and trusted.",
            ),
        ),
    ),
    (
        "keys",
        "Make, list and revoke API keys.",
        (
            (
                "create",
                "keys:create",
                "Make an API key and print it.\n\nIt is shown this once: only its fingerprint is kept.",
            ),
            (
                "list",
                "keys:list_all",
                "List API keys.\n\nShows how they begin and end, what they spent, and whether they work.",
            ),
            (
                "revoke",
                "keys:revoke",
                "End an API key for good.\n\nWithin a second everywhere. Work that it started goes on.",
            ),
        ),
    ),
    (
        "workspaces",
        "Make and list workspaces, and set their limits.",
        (
            (
                "create",
                "workspaces:create",
                "Make a workspace.\n\nIt starts without credit: 'safelight credit add' gives it some.",
            ),
            (
                "list",
                "workspaces:list_all",
                "List workspaces.\n\nWith their credit in US dollars and their own limits, if any.",
            ),
            (
                "limits",
                "workspaces:limits",
                "Set a workspace's limits, or show them.\n\nWhat is not given stays; '-' is the setting's.",
            ),
            (
                "erase",
                "workspaces:erase",
                "Erase a workspace for good.\n\nIts media, prompts, keys and name go; the ledger keeps its amounts.",
            ),
        ),
    ),
    (
        "signing-keys",
        "Change the keys of download links.",
        (
            ("list", "signing_keys:list_all", "List the keys, the one that signs first.\n\nSecrets are not shown."),
            ("add", "signing_keys:add", "Make a new key that signs.\n\nThe old ones still verify the links they made."),
            ("retire", "signing_keys:retire", "Remove a key.\n\nLinks that it made stop working."),
        ),
    ),
    (
        "credit",
        "Add credit to workspaces, and see what was added.",
        (
            (
                "add",
                "credit:add",
                "Add credit to a workspace.\n\nA negative amount takes it back, as far as it is not spent.",
            ),
            ("history", "credit:history", "List the credit that a workspace was given, newest first."),
        ),
    ),
    (
        "models",
        "See what is offered, what makes it, and whether that works.",
        (
            (
                "list",
                "models:list_all",
                "List models with their prices and bindings.\n\nAnd the state of each connection; no backend is asked.",
            ),
            ("show", "models:show", "Show everything that the catalog says of a model, and what each unit leaves."),
            (
                "check",
                "models:check",
                "Ask each live backend whether it can make what it is bound to.\n\n"
                "Nothing is ordered. Ends with status 1 if there is a problem.",
            ),
            (
                "init",
                "models:init",
                "Write a catalog to start from.\n\n"
                "The models that ship, and a commented block for each kind of backend.",
            ),
        ),
    ),
    (
        "comfyui",
        "Bring ComfyUI workflows into the catalog.",
        (
            (
                "import",
                "comfyui:import_workflow",
                "Propose a field map for a workflow, as a piece of a catalog.\n\nIt says what it could not place. "
                "Nothing of yours is changed.",
            ),
        ),
    ),
    (
        "archive",
        "Move what ended long ago out of the database, and read it there.",
        (
            ("run", "archive:run", "Archive what is due, now.\n\nEnds with status 1 if something is in the way."),
            ("list", "archive:list_all", "List the segments of the archive, oldest first."),
            ("find", "archive:find", "Print what the archive has of a generation, as JSON."),
        ),
    ),
    (
        "generations",
        "See what became of a generation.",
        (
            (
                "show",
                "generations:show",
                "Show where one stands, which backend was asked, and what that said.\n\nNothing of what was asked for.",
            ),
        ),
    ),
    (
        "webhooks",
        "Say who is told of events, and see how that went.",
        (
            (
                "create",
                "webhooks:create",
                "Make an endpoint and print its secret.\n\nIt is shown this once. Without an address: the secret of "
                "a workspace for those that requests name.",
            ),
            ("list", "webhooks:list_all", "List endpoints.\n\nWhat they are told, and what waits for them."),
            (
                "rotate",
                "webhooks:rotate",
                "Give an endpoint a new secret and print it.\n\nThe old one signs as well for a day.",
            ),
            ("enable", "webhooks:enable", "Send to an endpoint again.\n\nOne that answered 410 was disabled."),
            ("delete", "webhooks:delete", "Forget an endpoint and its log.\n\nWhat waits for it is not sent."),
            ("deliveries", "webhooks:deliveries", "Show the log of deliveries, newest first."),
            (
                "redeliver",
                "webhooks:redeliver",
                "Deliver once more.\n\nOne delivery, or all that failed at an endpoint; events keep their ids.",
            ),
        ),
    ),
)
