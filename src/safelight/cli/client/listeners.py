"""What a listener remembers: the last event that it handed over, and the secret that it signs with.

Both lie beside the profiles, in files that only their owner reads: the secret by profile, so that it stays the same for
whoever verifies it, and the place by profile, server and target, as each target hears of everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from safelight.cli.client.exits import CommandFailed, Misuse
from safelight.cli.client.profiles import Profile, config_file, prepare_folder
from safelight.domain.errors import InvalidParameter
from safelight.node.data_folder import FileLock, write_closed
from safelight.webhooks.signing import new_secret, read_secret


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    profile: str
    base_url: str
    forward_to: str | None
    last_event_id: str


class Listener:
    """One profile's listener for one target. ``last``: the id of the last event that it is done with; empty: none."""

    def __init__(self, path: Path, profile: Profile, target: str | None) -> None:
        self._path, self._profile, self._target = path, profile, target
        self.last = ""

    def recall(self) -> None:
        """Take up what was noted. Raises ``Misuse`` where that cannot be read."""
        try:
            self.last = msgspec.json.decode(self._path.read_bytes(), type=_Place).last_event_id
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError):
            raise Misuse(f"{self._path} cannot be read. Remove it, and give --since or begin from now on.") from None

    def note_last(self, event_id: str) -> None:
        """Note that the listener is done with an event. Raises ``CommandFailed``."""
        if event_id == self.last:
            return
        place = _Place(
            profile=self._profile.name,
            base_url=self._profile.base_url,
            forward_to=self._target,
            last_event_id=event_id,
        )
        try:
            write_closed(self._path, msgspec.json.encode(place).decode())
        except OSError as error:
            raise CommandFailed(
                f"{self._path} cannot be written: {error.strerror}. There it is noted how far this listener is; the "
                "event before will come once more."
            ) from None
        self.last = event_id


@contextmanager
def open_listener(profile: Profile, target: str | None) -> Iterator[Listener]:
    """The one listener of this profile and target, where it left off. Raises ``Misuse``."""
    named = "\n".join((profile.name, profile.base_url, target or ""))
    path = _folder() / f"{hashlib.sha256(named.encode()).hexdigest()[:16]}.json"
    try:
        prepare_folder(path.parent)
        lock = FileLock(path.with_suffix(".lock"))
        is_alone = lock.acquire(wait=False)
    except OSError as error:
        raise Misuse(f"{error.filename or path} cannot be written: {error.strerror}.") from None
    try:
        if not is_alone:
            raise Misuse("Another 'safelight listen' does the very same. End it, or give another --forward-to.")
        listener = Listener(path, profile, target)
        listener.recall()
        yield listener
    finally:
        lock.release()


def secret_of(profile: Profile) -> str:
    """The profile's secret, made when it is first asked for. Raises ``Misuse``."""
    path = _folder() / f"{profile.name}.secret"
    try:
        prepare_folder(path.parent)
        try:
            secret = path.read_text().strip()
        except FileNotFoundError:
            with FileLock(path.with_name(f"{path.name}.lock")).held():  # two that begin at once sign alike
                if not path.exists():
                    write_closed(path, f"{new_secret()}\n")
            secret = path.read_text().strip()
        read_secret(secret)
    except OSError as error:
        raise Misuse(f"{error.filename or path} cannot be read or written: {error.strerror}.") from None
    except (InvalidParameter, ValueError):
        raise Misuse(f"{path} holds no webhook secret. Remove it: a new one is made.") from None
    return secret


def _folder() -> Path:
    return config_file().parent / "listeners"
