"""Reading a secret that is named, not written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safelight.domain.connections import Secret
from safelight.domain.errors import ConfigurationError
from safelight.node.operator_files import read_text


def read_secret(secret: Secret, environ: Mapping[str, str] | None = None) -> str:
    """Its value: of the variable, or of the file without the white space around it.

    Raises ``ConfigurationError`` where there is none.
    """
    if secret.source == "env":
        value = (os.environ if environ is None else environ).get(secret.name, "").strip()
        if not value:
            raise ConfigurationError(f"{secret.reference}: the variable is not set. Set {secret.name} to the key.")
        return value
    try:
        value = read_text(Path(secret.name)).strip()
    except FileNotFoundError as error:
        raise ConfigurationError(f"{secret.reference}: {error.strerror}. Put the key into that file.") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{secret.source}:{error.message} It has to hold the key, as text.") from None
    if not value:
        raise ConfigurationError(f"{secret.reference}: the file is empty. Put the key into it.")
    return value
