"""The entry of the ``safelight`` command, and ``python -m safelight``: ready for Ctrl-C before it imports the rest."""

from __future__ import annotations

import signal


def main() -> None:
    """Run one command; a Ctrl-C while its modules are imported ends it without a word."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from safelight import cli

    signal.signal(signal.SIGINT, usual)
    cli.main()


if __name__ == "__main__":
    main()
