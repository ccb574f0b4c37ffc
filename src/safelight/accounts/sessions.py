"""Who is in at the dashboard. A session is a row: of its secret only the SHA-256 is kept.

A session is no key. One that a key opened has that key's workspace and role, and ends with it; one that a link opened
is a person's, without a key.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from datetime import datetime

import msgspec

from safelight.accounts.workspaces import is_workspace_name
from safelight.db.pool import Database
from safelight.domain.errors import InvalidApiKey, NotFound
from safelight.domain.roles import Role
from safelight.domain.scope import OperatorScope, Principal, WorkspaceScope

LONGEST_SECONDS = 7 * 86400
IDLE_SECONDS = 12 * 3600
LINK_SECONDS = 600

_REMEMBER_SECONDS = 0.9  # a key's revocation must work within a second in every process
_REMEMBER = 10_000
_TOUCH_SECONDS = 60.0
_MOST_USER_AGENT = 200


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in. ``workspace_id`` None: an operator, who is in no workspace and may look at each."""

    sha256: bytes
    person: str
    role: Role
    workspace_id: int | None
    workspace: str
    key_id: int | None
    is_capped: bool
    retention_max_seconds: int | None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "role", Role(self.role))  # a row has text

    @property
    def principal(self) -> Principal | None:
        """As whom they act; None for an operator, who chooses a workspace first."""
        if self.workspace_id is None:
            return None
        return Principal(
            key_id=self.key_id,
            workspace_id=self.workspace_id,
            workspace=self.workspace,
            is_capped=self.is_capped,
            retention_max_seconds=self.retention_max_seconds,
            role=self.role,
        )


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as others see it. ``sha256`` names it, and lets nobody in. ``key_id`` None: of who has no key."""

    sha256: bytes
    person: str
    role: str
    key_id: int | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    user_agent: str

    def is_of(self, secret: str | None) -> bool:
        """Whether this is the session that has the secret."""
        return secret is not None and self.sha256 == _digest(secret)


class _Entrant(msgspec.Struct, frozen=True, kw_only=True):
    person: str
    role: Role
    workspace_id: int | None


class _Workspace(msgspec.Struct, frozen=True, kw_only=True):
    workspace_id: int
    workspace: str
    retention_max_seconds: int | None


async def create_link(operator: OperatorScope, db: Database, person: str, *, seconds: int = LINK_SECONDS) -> str:
    """Make a code that lets an operator in, once, within so many seconds."""
    code = secrets.token_urlsafe(32)
    params = {
        "sha256": _digest(code),
        "workspace_id": operator.workspace_id,
        "person": person,
        "role": str(Role.OPERATOR),
        "seconds": seconds,
    }
    await db.run("create_login_link", params)
    return code


async def principal_in(operator: OperatorScope, db: Database, name: str | None) -> Principal | None:
    """As whom an operator acts in the workspace of that name or, without one, in the oldest. None: there is none."""
    is_name = name is None or is_workspace_name(name)
    found = await db.one("workspace_principal", {"name": name}, _Workspace) if is_name else None
    if found is None:
        return None
    return Principal(
        key_id=None,
        workspace_id=found.workspace_id,
        workspace=found.workspace,
        is_capped=False,
        retention_max_seconds=found.retention_max_seconds,
        role=Role.OPERATOR,
    )


async def list_sessions(scope: WorkspaceScope, db: Database, *, operators: bool) -> list[OpenSession]:
    """Who is in: the workspace's people and, where it is asked for, the operators. Newest first."""
    params = {"workspace_id": scope.workspace_id, "operators": operators, "idle_seconds": IDLE_SECONDS}
    return await db.all("list_sessions", params, OpenSession)


async def end_session_of(scope: WorkspaceScope, db: Database, name: str, *, operators: bool) -> None:
    """End one of those that ``list_sessions`` lists, within a second everywhere.

    ``name``: its ``sha256`` in hexadecimal. Raises ``NotFound``.
    """
    try:
        digest = bytes.fromhex(name)
    except ValueError:
        digest = b""
    params = {"sha256": digest, "workspace_id": scope.workspace_id, "operators": operators}
    if not await db.run("end_session_of", params):
        raise NotFound("There is no such session, or it has ended already.")


class Sessions:
    """Opens sessions, and finds whose a request belongs to, remembering an answer for less than a second."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[float, Session]] = OrderedDict()
        self._touched: dict[bytes, float] = {}

    async def open_for_key(self, db: Database, principal: Principal, user_agent: str) -> str:
        """Open a session for the holder of a key; its secret."""
        person = f"key {principal.key_id} of {principal.workspace}"
        entrant = _Entrant(person=person, role=principal.role, workspace_id=principal.workspace_id)
        return await _open(db, entrant, principal.key_id, user_agent)

    async def open_by_link(self, db: Database, code: str, user_agent: str) -> str:
        """Use a link's code and open a session; its secret. Raises ``InvalidApiKey`` if it was used or is too old."""
        entrant = await db.one("use_login_link", {"sha256": _digest(code)}, _Entrant)
        if entrant is None:
            raise InvalidApiKey("This link was used already, or its time is over. 'safelight dashboard' makes another.")
        return await _open(db, entrant, None, user_agent)

    async def find(self, db: Database, secret: str) -> Session | None:
        """The session, or None if there is none, or no more."""
        digest = _digest(secret)
        now = time.monotonic()
        known = self._known.get(digest)
        if known is not None and now - known[0] < _REMEMBER_SECONDS:
            return known[1]
        found = await db.lookup("find_session", {"sha256": digest, "idle_seconds": IDLE_SECONDS}, Session)
        if found is None:
            self._known.pop(digest, None)
            return None
        self._known[digest] = (now, found)
        if len(self._known) > _REMEMBER:
            self._known.popitem(last=False)
        await self._touch(db, digest, now)
        return found

    async def end(self, db: Database, secret: str) -> None:
        """End it, here at once and elsewhere within a second."""
        digest = _digest(secret)
        await db.run("end_session", {"sha256": digest})
        self._known.pop(digest, None)

    async def _touch(self, db: Database, digest: bytes, now: float) -> None:
        if now - self._touched.get(digest, -_TOUCH_SECONDS) < _TOUCH_SECONDS:
            return
        if len(self._touched) > _REMEMBER:
            self._touched.clear()
        self._touched[digest] = now
        await db.run("touch_session", {"sha256": digest})


async def _open(db: Database, entrant: _Entrant, key_id: int | None, user_agent: str) -> str:
    secret = secrets.token_urlsafe(32)
    params = {
        "sha256": _digest(secret),
        "api_key_id": key_id,
        "workspace_id": entrant.workspace_id,
        "person": entrant.person,
        "role": str(entrant.role),
        "user_agent": user_agent[:_MOST_USER_AGENT],
        "seconds": LONGEST_SECONDS,
    }
    await db.run("create_session", params)
    return secret


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
