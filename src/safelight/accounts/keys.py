"""API keys. Of a key only its SHA-256, prefix and last four characters are kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import datetime

import msgspec

from safelight.accounts.workspaces import no_such_workspace
from safelight.db.pool import Database
from safelight.domain.errors import InvalidApiKey, InvalidParameter, NotFound, RateLimited
from safelight.domain.ids import new_api_key, read_api_key
from safelight.domain.money import MAX_NANOS
from safelight.domain.roles import OF_KEYS, Role
from safelight.domain.scope import Principal, Scope, WorkspaceScope
from safelight.domain.text import read_line

_REMEMBER_SECONDS = 0.9  # revocation must work within a second in every process
_REMEMBER_KEYS = 10_000
_TOUCH_SECONDS = 60.0


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key."""

    id: int
    workspace: str
    name: str
    prefix: str
    last_four: str
    role: Role
    spend_cap_nanos: int | None
    spent_nanos: int
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made; ``secret`` is shown once and kept nowhere."""

    id: int
    secret: str


async def create_key(
    scope: WorkspaceScope,
    db: Database,
    *,
    name: str = "default",
    role: Role = Role.GENERATE,
    spend_cap_nanos: int | None = None,
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key of the workspace. Raises ``InvalidParameter`` and ``NotFound``."""
    read_line(name, "name", most=100)
    if role not in OF_KEYS:
        raise InvalidParameter(f"No key has the role {role}. Use one of: {', '.join(OF_KEYS)}.", param="role")
    if spend_cap_nanos is not None and not 0 <= spend_cap_nanos <= MAX_NANOS:
        raise InvalidParameter("A key's spend cap is 0 dollars or more.", param="spend_cap")
    secret = new_api_key()
    key = read_api_key(secret)
    assert key is not None
    params = {
        "workspace_id": scope.workspace_id,
        "name": name,
        "role": role,
        "sha256": key.sha256,
        "prefix": key.prefix,
        "last_four": key.last_four,
        "spend_cap_nanos": spend_cap_nanos,
        "expires_at": expires_at,
    }
    row = await db.one("create_key", params, tuple)
    if row is None:
        raise no_such_workspace(scope.workspace_id)
    return NewKey(id=row[0], secret=secret)


async def list_keys(scope: Scope, db: Database) -> list[KeyRecord]:
    """Keys by workspace and age, those that were revoked too."""
    rows = await db.all("list_keys", {"workspace_id": scope.workspace_id}, dict)
    return msgspec.convert(rows, list[KeyRecord])


async def revoke_key(scope: Scope, db: Database, key_id: int) -> None:
    """Revoke a key for good. Raises ``NotFound``."""
    if not await db.run("revoke_key", {"id": key_id, "workspace_id": scope.workspace_id}):
        raise NotFound(f"There is no key {key_id}. 'safelight keys list' shows those that exist.", param="key")


class Authenticator:
    """Finds whose key a request carries, remembering an answer for less than a second."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._touched: dict[int, float] = {}

    async def authenticate(self, header: str | None, *, is_suspect: bool = False) -> Principal:
        """The sender, by an ``Authorization`` header. Raises ``InvalidApiKey``, the same for every reason.

        ``is_suspect``: many wrong keys came from there. Then only keys that were seen to be right are looked up, and
        ``RateLimited`` is raised for others.
        """
        scheme, _, text = (header or "").partition(" ")
        key = read_api_key(text.strip(" ")) if scheme.lower() == "bearer" else None
        if key is None:
            raise InvalidApiKey
        now = time.monotonic()
        known = self._known.get(key.sha256)
        if known and now - known[0] < _REMEMBER_SECONDS:
            return known[1]
        if is_suspect and known is None:
            raise RateLimited("Too many wrong API keys came from this address. Wait a minute, and try again.")
        found = await self._db.lookup("find_key", {"sha256": key.sha256}, dict)
        if found is None:
            self._known.pop(key.sha256, None)
            raise InvalidApiKey
        principal = msgspec.convert(found, Principal)
        self._known[key.sha256] = (now, principal)
        if len(self._known) > _REMEMBER_KEYS:
            self._known.popitem(last=False)
        if principal.key_id is not None:
            await self._touch(principal.key_id, now)
        return principal

    async def _touch(self, key_id: int, now: float) -> None:
        if now - self._touched.get(key_id, -_TOUCH_SECONDS) < _TOUCH_SECONDS:
            return
        if len(self._touched) > _REMEMBER_KEYS:
            self._touched.clear()
        self._touched[key_id] = now
        await self._db.run("touch_key", {"key_id": key_id})
