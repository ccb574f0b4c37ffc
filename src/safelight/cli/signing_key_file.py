"""The keys of download links: in the settings, or in a file of the data folder, made when first needed."""

from __future__ import annotations

from datetime import UTC, datetime

from safelight.domain.signing import (
    SigningKey,
    format_signing_keys,
    generate_signing_key,
    parse_signing_keys,
)
from safelight.node.data_folder import explained, prepare, write_private
from safelight.node.settings import Settings


def ensure_signing_keys(settings: Settings) -> tuple[SigningKey, ...]:
    """The keys. Raises ``ConfigurationError`` where they are no keys."""
    if settings.signing_keys:
        return parse_signing_keys(settings.signing_keys)
    folder = prepare(settings.data_dir)
    path = folder / "signing-keys"
    if not path.exists():
        now = datetime.now(UTC)
        key = generate_signing_key(f"k{now:%Y%m%d}", now)
        write_private(path, format_signing_keys((key,)))
    with explained(folder):
        return parse_signing_keys(path.read_text())
