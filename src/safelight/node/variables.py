"""The ``SAFELIGHT_`` variables of an environment: which are settings, which are somebody else's, which are misspelt."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from safelight.domain.errors import ConfigurationError

PREFIX = "SAFELIGHT_"
CONFIG = f"{PREFIX}CONFIG"
"""Names the settings' file."""

CLIENTS = (f"{PREFIX}PROFILE", f"{PREFIX}BASE_URL", f"{PREFIX}API_KEY")
"""Of the commands that call a server: the name of a profile, and what counts instead of what that holds."""

_EXAMPLES = (f"{PREFIX}URL", f"{PREFIX}KEY")  # stand in the reference's
_OURS = (CONFIG, f"{PREFIX}KILLPOINT", *CLIENTS, *_EXAMPLES)
_TESTS = f"{PREFIX}TEST_"
PAGE = "'safelight docs operating' lists them all."

# What Kubernetes sets in every pod for a Service named safelight or safelight-SOMETHING.
# Source: Kubernetes documentation, "Service", environment variables.
_OF_A_SERVICE = re.compile(rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_[A-Z]+(_(PROTO|PORT|ADDR))?)")
_ADDRESS_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://\S+")
_PORT_OF_A_SERVICE = re.compile(rf"{PREFIX}(\w+_)?PORT")


def is_of_a_service(variable: str, value: str) -> bool:
    """Whether Kubernetes has set it, and nobody meant it as a setting."""
    if _OF_A_SERVICE.fullmatch(variable):
        return True
    return _PORT_OF_A_SERVICE.fullmatch(variable) is not None and _ADDRESS_OF_A_SERVICE.fullmatch(value) is not None


def notes(environ: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """What is to be said of variables that look like settings and are ignored. ``names``: of the settings."""
    return [
        f"{variable} is ignored: {environ[variable]} is what Kubernetes sets for a Service named 'safelight'. "
        "Set it to a number, or use --port, for another port than the usual one."
        for variable in sorted(map(_written, names))
        if variable in environ and is_of_a_service(variable, environ[variable].strip())
    ]


def check_known(environ: Mapping[str, str], names: Collection[str], catalog_text: Callable[[], str]) -> None:
    """Raise ``ConfigurationError`` for a variable that is no setting, unless the catalog names it as a secret's."""
    known = set(map(_written, names))
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in known or variable in _OURS or variable.startswith(_TESTS):
            continue
        if is_of_a_service(variable, environ[variable].strip()):
            continue
        if re.search(rf"\benv:{re.escape(variable)}\b", catalog_text()) is None:
            near = did_you_mean(variable.removeprefix(PREFIX).lower(), {*names, "config"}, as_written=_written)
            raise ConfigurationError(f"There is no setting {variable}. {near}{PAGE}")


def did_you_mean(name: str, known: Iterable[str], *, as_written: Callable[[str], str] = str) -> str:
    """``Did you mean X? `` where one of the known names is near; ``as_written`` is how X is shown."""
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f"Did you mean {as_written(near[0])}? " if near else ""


def _written(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
