"""Every command: its word, the function that runs it, and what ``--help`` says of it.

A function is named from this folder (from ``client/`` in ``OVER_HTTP``) as ``module:function``, and imported when it is
that command's turn. A text's first line is the one in the list of commands.
"""

from __future__ import annotations

OVER_HTTP: tuple[tuple[str, str, str], ...] = (
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
"""Commands that call a server over HTTP: word, function, text."""

ALONE: tuple[tuple[str, str, str], ...] = (
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
"""Commands of one word that work on an installation's database and files: word, function, text."""

GROUPS: tuple[tuple[str, str, tuple[tuple[str, str, str], ...]], ...] = (
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
"""Commands of two words that do so too: the first word, what that is about, and for each second one the same three."""
