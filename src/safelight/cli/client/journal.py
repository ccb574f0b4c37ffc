"""What was ordered and is not at hand yet, kept so that a command that is killed can be gone on with.

A file for each command in ``~/.local/state/safelight/orders`` (below ``XDG_STATE_HOME`` where that is set), which only
its owner reads. It is written before anything is ordered: from then on the idempotency key finds what came of it, or
orders the very same once more. The request itself is dropped when it is known what became of each.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from safelight.cli.client.answers import Failure, Type
from safelight.cli.client.exits import CommandFailed
from safelight.cli.client.profiles import prepare_folder, state_folder
from safelight.node.data_folder import write_closed

_KEPT = 50
KEY_LASTS_SECONDS = 23 * 3600
"""A server knows an idempotency key for a day: later the same request would be another order."""


class Order(msgspec.Struct, kw_only=True):
    """One generation. ``id`` is None until it is known; ``refusal``: why there will be none."""

    key: str
    id: str | None = None
    refusal: Failure | None = None

    @property
    def is_known(self) -> bool:
        """Whether what became of it can be told without its request."""
        return self.id is not None or self.refusal is not None


class Entry(msgspec.Struct, kw_only=True):
    """One command's orders, all of the same ``request``: the JSON that is sent."""

    base_url: str
    type: Type
    template: str | None
    force: bool
    began_at: float
    request: str | None
    orders: list[Order]

    @property
    def can_be_sent(self) -> bool:
        """Whether the request, sent once more, is sure to be the same order."""
        return self.request is not None and 0 <= time.time() - self.began_at < KEY_LASTS_SECONDS


class Journal:
    """One entry on disk."""

    def __init__(self, path: Path, entry: Entry) -> None:
        self._path = path
        self.entry = entry

    def note_id(self, order: Order, generation_id: str) -> None:
        """Keep the id of an order. It costs nothing if that fails: the key is kept."""
        if order.id == generation_id:
            return
        order.id = generation_id
        self._note()

    def note_refusal(self, order: Order, code: str, message: str) -> None:
        """Keep that an order was not taken, so that it is not placed later, when it might be."""
        order.refusal = Failure(code, message)
        self._note()

    def _note(self) -> None:
        if all(each.is_known for each in self.entry.orders):
            self.entry.request = None
        with suppress(OSError):
            self._write()

    def _write(self) -> None:
        write_closed(self._path, msgspec.json.encode(self.entry).decode())


def new_key() -> str:
    return f"cli-{secrets.token_hex(16)}"


def begin(entry: Entry) -> Journal:
    """Keep an entry, before anything of it is ordered. Raises ``CommandFailed`` where that is not possible."""
    folder = _folder()
    journal = Journal(folder / f"{int(entry.began_at * 1000):014d}-{secrets.token_hex(4)}.json", entry)
    try:
        prepare_folder(folder)
        journal._write()
        for old in sorted(folder.glob("*.json"))[:-_KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise CommandFailed(
            f"{error.filename or folder} cannot be written: {error.strerror}. Nothing was ordered: there an order is "
            "noted, to be found again. XDG_STATE_HOME names another place."
        ) from None
    return journal


def last(base_url: str) -> Journal | None:
    """The last entry that went to this server, if any."""
    for path in sorted(_folder().glob("*.json"), reverse=True):
        try:
            entry = msgspec.json.decode(path.read_bytes(), type=Entry)
        except (OSError, msgspec.DecodeError):
            continue
        if entry.base_url == base_url:
            return Journal(path, entry)
    return None


def _folder() -> Path:
    return state_folder() / "orders"
