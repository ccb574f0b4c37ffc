"""``safelight signing-keys``: the keys of download links, and changing them without breaking links."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import print_json, print_table
from safelight.domain.errors import ConfigurationError
from safelight.domain.signing import SigningKey, format_signing_keys, generate_signing_key
from safelight.node.data_folder import write_private
from safelight.node.settings import Settings, load_settings
from safelight.node.signing_key_file import ensure_signing_keys

_RELOAD = "Running processes take it up at their next start, or on SIGHUP."


def list_all(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the keys, the one that signs first. Secrets are not shown."""
    keys = ensure_signing_keys(load_settings(data_dir=data_dir))
    rows = [_row(key, signs=place == 0) for place, key in enumerate(keys)]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns=list(rows[0]), empty="")


def add(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Make a new key that signs from now on. The old ones still verify the links they made."""
    settings, keys = _own_keys(data_dir)
    now = datetime.now(UTC)
    key = generate_signing_key(_new_id(now, keys), now)
    _write(settings, (key, *keys))
    if as_json:
        print_json(_row(key, signs=True))
    else:
        print(f"Signing key {key.id!r} signs from now on. {_RELOAD}")


def retire(
    key_id: Annotated[str, Parameter(help="The key's id, as 'list' shows it.")], /, *, data_dir: DataDir = None
) -> None:
    """Remove a key: links that it made stop working."""
    settings, keys = _own_keys(data_dir)
    left = tuple(key for key in keys if key.id != key_id)
    if len(left) == len(keys):
        raise ConfigurationError(f"There is no signing key {key_id!r}. 'safelight signing-keys list' shows them.")
    if not left:
        raise ConfigurationError("It is the only signing key. Make another first: 'safelight signing-keys add'.")
    _write(settings, left)
    print(f"Signing key {key_id!r} is retired: links that it made stop working. {_RELOAD}")


def _own_keys(data_dir: Path | None) -> tuple[Settings, tuple[SigningKey, ...]]:
    settings = load_settings(data_dir=data_dir)
    if settings.signing_keys:
        raise ConfigurationError("The keys come from SAFELIGHT_SIGNING_KEYS. Change them there, newest first.")
    return settings, ensure_signing_keys(settings)


def _write(settings: Settings, keys: tuple[SigningKey, ...]) -> None:
    write_private(settings.data_dir / "signing-keys", format_signing_keys(keys))


def _new_id(now: datetime, keys: tuple[SigningKey, ...]) -> str:
    taken = {key.id for key in keys}
    names = (f"k{now:%Y%m%d}{suffix}" for suffix in ("", *(f"-{number}" for number in range(2, 1000))))
    return next(name for name in names if name not in taken)


def _row(key: SigningKey, *, signs: bool) -> dict[str, Any]:
    created = key.created_at and key.created_at.astimezone(UTC)
    return {"id": key.id, "created_at": msgspec.to_builtins(created), "signs": signs}
