"""The keys of download links: in the settings, or in a file of the data folder, made when first needed."""

from __future__ import annotations

from datetime import UTC, datetime

from safelight.domain.errors import ConfigurationError
from safelight.domain.signing import (
    SigningKey,
    format_signing_keys,
    generate_signing_key,
    parse_signing_keys,
)
from safelight.node.data_folder import prepare, write_private
from safelight.node.operator_files import read_text
from safelight.node.settings import Settings


def read_signing_keys(settings: Settings) -> tuple[tuple[SigningKey, ...], str] | None:
    """The keys and where they come from; None where none are made yet.

    Raises ``ConfigurationError`` where they are no keys.
    """
    path = settings.data_dir / "signing-keys"
    source = "SAFELIGHT_SIGNING_KEYS" if settings.signing_keys else str(path)
    try:
        return parse_signing_keys(settings.signing_keys or read_text(path)), source
    except FileNotFoundError:
        return None
    except ConfigurationError as error:
        if error.message.startswith(source):
            raise
        raise ConfigurationError(f"{source}: {error.message}") from None


def ensure_signing_keys(settings: Settings) -> tuple[SigningKey, ...]:
    """The keys, made first where there are none. Raises ``ConfigurationError`` where they are no keys."""
    found = read_signing_keys(settings)
    if found is not None:
        return found[0]
    now = datetime.now(UTC)
    key = generate_signing_key(f"k{now:%Y%m%d}", now)
    write_private(prepare(settings.data_dir) / "signing-keys", format_signing_keys((key,)))
    return (key,)
