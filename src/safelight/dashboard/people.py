"""People whom a proxy in front has identified: what each may do here is in a file of the operator's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from safelight.domain.errors import ConfigurationError
from safelight.domain.roles import Role
from safelight.domain.scope import Principal
from safelight.domain.text import printable
from safelight.node.operator_files import read_toml

_EVERYBODY = "*"


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody by the name that the proxy gives them; ``*`` is everybody else. An operator is in no workspace."""

    name: str
    role: Role
    workspace: str | None = None

    def act_as(self, principal: Principal) -> Principal:
        return msgspec.structs.replace(principal, role=self.role)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    people: list[Person]


def _as_sent(value: str) -> str:
    """A header's value, which is read as Latin-1, as UTF-8 where it is that: proxies send names in it."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


class People:
    """Those of the file, by name. ``header``: the request header in which the proxy names them."""

    def __init__(self, header: str, path: Path) -> None:
        self._header = header
        try:
            people = msgspec.convert(read_toml(path), _File).people
        except FileNotFoundError:
            raise ConfigurationError(f"There is no file {path}. Correct SAFELIGHT_DASHBOARD_PEOPLE.") from None
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"{path}: {error}") from None
        for person in people:
            if (person.role is Role.OPERATOR) != (person.workspace is None):
                raise ConfigurationError(
                    f"{path}: {person.name!r} needs a workspace, unless the role is 'operator', which has none."
                )
        self._people = {person.name: person for person in people}

    def find(self, headers: Mapping[str, str]) -> Person | None:
        """Whom the request's header names, if they may come in."""
        name = _as_sent(headers.get(self._header, "")).strip()
        if not name:
            return None
        found = self._people.get(name)
        if found is None and _EVERYBODY in self._people:
            found = msgspec.structs.replace(self._people[_EVERYBODY], name=printable(name[:200]))
        return found
