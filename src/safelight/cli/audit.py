"""What a command changed, for the audit log: by whom on this machine."""

from __future__ import annotations

import os
import pwd

from safelight.accounts.audit import Action, Actor, record
from safelight.db.pool import Database
from safelight.domain.roles import Role
from safelight.domain.scope import OPERATOR, Scope


async def note(
    database: Database, action: Action, target: str | int, *, scope: Scope = OPERATOR, **detail: str | int | None
) -> None:
    """Put on record what was just done, in a scope, by the user that this process runs as; without what is None.

    A workspace is named by its number, and no key by its name: those go when it is erased, and the log stays.
    """
    by = Actor(person=user_name(), role=Role.OPERATOR)
    known = {name: value for name, value in detail.items() if value is not None}
    await record(scope, database, by, action, target, known)


def user_name() -> str:
    """Who runs this process, by its user id: what the environment says can be anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in many containers
        return f"uid {os.getuid()}"
