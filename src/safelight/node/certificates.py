"""The certificate chain that signs provenance: where it lies, and making one of our own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from safelight.domain.errors import ConfigurationError
from safelight.node.chain import certificate_expiry, create_local_chain
from safelight.node.data_folder import FileLock, explained, write_private
from safelight.node.operator_files import without_mark
from safelight.node.settings import Settings

CHAIN, KEY, ROOT = "chain.pem", "key.pem", "root.pem"


def init_provenance(folder: Path) -> bool:
    """Make a root and a signing certificate of our own in ``folder``. False if there is a chain already."""
    with explained(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder / ".lock").held():
            if (folder / CHAIN).exists():
                return False
            root, chain, key = create_local_chain("Safelight")
            write_private(folder / KEY, key.decode())
            write_private(folder / ROOT, root.decode())
            write_private(folder / CHAIN, chain.decode())  # last: a chain that is there is whole
    return True


def provenance_pair(settings: Settings) -> tuple[bytes, bytes]:
    """The chain and its key; made first where the folder is our own. Raises ``ConfigurationError``."""
    folder = settings.provenance_folder
    if settings.provenance_dir is None:
        init_provenance(folder)
    return read(folder / CHAIN), read(folder / KEY)


def days_left(settings: Settings) -> int:
    """Whole days until the signing certificate expires."""
    return (certificate_expiry(read(settings.provenance_folder / CHAIN)) - datetime.now(UTC)).days


def read(path: Path) -> bytes:
    """A file of the chain. Raises ``ConfigurationError`` with the remedy."""
    try:
        return without_mark(path.read_bytes())
    except OSError as error:
        is_none = isinstance(error, FileNotFoundError)
        remedy = "'safelight provenance init' makes a chain" if is_none else "Let this user read it as a file"
        raise ConfigurationError(f"{path}: {error.strerror}. {remedy}, or set SAFELIGHT_PROVENANCE=off.") from None
