"""What is finished, brought to where it belongs and told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from safelight.cli.client.answers import Generation
from safelight.cli.client.asking import usd
from safelight.cli.client.connection import Connection
from safelight.cli.client.download import download
from safelight.cli.client.exits import CommandFailed
from safelight.cli.client.follow import how_to_go_on
from safelight.cli.client.inline import show_inline
from safelight.cli.client.output import note, result
from safelight.cli.client.targets import Target
from safelight.domain.media import EXTENSION_OF_MIME


async def deliver(
    connection: Connection,
    found: Generation,
    target: Target,
    *,
    number: int = 1,
    may_rename: bool = False,
    as_json: bool = False,
    opens: bool = False,
) -> None:
    """Fetch a completed generation's files and tell their paths: on stdout, or beside JSON on stderr.

    Raises ``CommandFailed``, which says that it is made and how to get it.
    """
    for index, file in enumerate(found.data):
        extension = EXTENSION_OF_MIME[file.mime_type]
        wanted = target.path(found.id, number + index, extension)
        name = f"{found.id}-{index}.{extension}"
        try:
            path = await download(connection, file.url, wanted, name=name, force=target.force, may_rename=may_rename)
        except CommandFailed as error:
            raise CommandFailed(f"{error} It is made, and paid for. {how_to_go_on(found.id)}", error.status) from None
        if path != wanted:
            note(f"{wanted} was made by something else meanwhile, and is left alone.")
        (note if as_json else result)(str(path))
        note(f"{file.width}x{file.height}, {path.stat().st_size / 1e6:.1f} MB{_cost(found)}")
        if not as_json:
            show_inline(path, file.mime_type)
        if opens:
            _open(path)


def _cost(found: Generation) -> str:
    return f", {usd(found.usage.total_cost)} USD" if found.usage else ""


def _open(path: Path) -> None:
    """Hand the file to the desktop. That there is none is told, and no failure."""
    command = "open" if sys.platform == "darwin" else "xdg-open"
    found = shutil.which(command)
    if found is None:
        note(f"--open: there is no {command} here.")
        return
    subprocess.Popen(
        [found, os.path.abspath(path)],  # noqa: PTH100 - links stay as they are
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
