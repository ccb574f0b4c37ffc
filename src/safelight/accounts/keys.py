"""API keys. Of a key only its SHA-256, prefix and last four characters are kept."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import datetime

import msgspec

from safelight.accounts.workspaces import no_such_workspace
from safelight.db.pool import Database, one, run
from safelight.domain.errors import IdempotencyConflict, InvalidApiKey, InvalidParameter, NotFound, RateLimited
from safelight.domain.ids import new_api_key, read_api_key
from safelight.domain.money import MAX_NANOS
from safelight.domain.roles import OF_KEYS, Role
from safelight.domain.scope import Principal, Scope, WorkspaceScope
from safelight.domain.text import read_line

_REMEMBER_SECONDS = 0.9  # revocation must work within a second in every process
_REMEMBER_KEYS = 10_000
_TOUCH_SECONDS = 60.0
_SECONDS_UNTIL_CAPPED = 1.0  # until every process knows that a key has a cap

STATES = ("active", "expired", "revoked")
ORDERS = ("name", "-name", "created", "-created", "used", "-used", "spent", "-spent")


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


class FoundKey(KeyRecord, frozen=True, kw_only=True):
    """A key as a search finds it. ``charged_nanos``: all that was charged for it, with a cap or without. ``total``: how
    many the search finds."""

    charged_nanos: int
    state: str
    total: int


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
    idempotency_key: str | None = None,
) -> NewKey:
    """Make a key of the workspace. Raises ``InvalidParameter`` and ``NotFound``.

    ``idempotency_key``: of what asks for it, to make no other where it is sent again. Raises ``IdempotencyConflict``
    then: the secret was shown, and is kept nowhere.
    """
    read_line(name, "name", most=100)
    if role not in OF_KEYS:
        raise InvalidParameter(f"No key has the role {role}. Use one of: {', '.join(OF_KEYS)}.", param="role")
    _check_cap(spend_cap_nanos)
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
        "idempotency_key": idempotency_key,
    }
    row = await db.one("create_key", params, tuple)
    if row is None:
        if idempotency_key is not None and (made := await db.one("find_key_made_by", params, tuple)):
            raise IdempotencyConflict(
                f"This form was sent before, and made key {made[0]}: no other was made now. Its secret was shown then, "
                "and is kept nowhere. If you do not have it, revoke that key and make another."
            )
        raise no_such_workspace(scope.workspace_id)
    return NewKey(id=row[0], secret=secret)


async def list_keys(scope: Scope, db: Database) -> list[KeyRecord]:
    """Keys by workspace and age, those that were revoked too."""
    rows = await db.all("list_keys", {"workspace_id": scope.workspace_id}, dict)
    return msgspec.convert(rows, list[KeyRecord])


async def search_keys(
    scope: WorkspaceScope,
    db: Database,
    *,
    text: str | None = None,
    state: str | None = None,
    order: str = "-created",
    limit: int = 100,
    offset: int = 0,
) -> list[FoundKey]:
    """The workspace's keys: those with ``text`` in their name, or as their last four characters, in one of ``STATES``.

    ``order``: one of ``ORDERS``, by the name, the time of making, the last use or what was charged; - is downwards.
    """
    page = {"text": text, "state": state, "order": order, "limit": limit, "offset": offset}
    rows = await db.all("search_keys", {"workspace_id": scope.workspace_id, "id": None, **page}, dict)
    return msgspec.convert(rows, list[FoundKey])


async def get_key(scope: WorkspaceScope, db: Database, key_id: int) -> FoundKey:
    """One key of the workspace. Raises ``NotFound``."""
    page = {"text": None, "state": None, "order": "created", "limit": 1, "offset": 0}
    found = await db.one("search_keys", {"workspace_id": scope.workspace_id, "id": key_id, **page}, dict)
    if found is None:
        raise _no_such_key(key_id)
    return msgspec.convert(found, FoundKey)


async def change_key(
    scope: Scope,
    db: Database,
    key_id: int,
    *,
    name: str,
    spend_cap_nanos: int | None,
    expires_at: datetime | None,
) -> None:
    """Give a key another name, cap and expiry. Raises ``InvalidParameter`` and, for a revoked one too, ``NotFound``.

    A cap counts all that the key has spent since it was made, what is held included. For a key that had none this takes
    a second: a submission that began before may not see the cap, and is counted in the end.
    """
    read_line(name, "name", most=100)
    _check_cap(spend_cap_nanos)
    of_which = {"id": key_id, "workspace_id": scope.workspace_id}
    change = {"id": key_id, "name": name, "spend_cap_nanos": spend_cap_nanos, "expires_at": expires_at}
    async with db.connection() as connection, connection.transaction():
        changed = None
        if await one(connection, "lock_key", of_which, tuple) is not None:
            changed = await one(connection, "change_key", change, tuple)
        if changed is None:
            raise _no_such_key(key_id)
        is_capped_now = spend_cap_nanos is not None and not changed[0]
        if is_capped_now:
            await run(connection, "recount_key", of_which)
    if is_capped_now:
        await asyncio.sleep(_SECONDS_UNTIL_CAPPED)
        async with db.connection() as connection, connection.transaction():
            await one(connection, "lock_key", of_which, tuple)
            await run(connection, "recount_key", of_which)


async def revoke_key(scope: Scope, db: Database, key_id: int) -> None:
    """Revoke a key for good. Raises ``NotFound``."""
    if not await db.run("revoke_key", {"id": key_id, "workspace_id": scope.workspace_id}):
        raise _no_such_key(key_id)


def _check_cap(spend_cap_nanos: int | None) -> None:
    if spend_cap_nanos is not None and not 0 <= spend_cap_nanos <= MAX_NANOS:
        raise InvalidParameter("A key's spend cap is 0 dollars or more.", param="spend_cap")


def _no_such_key(key_id: int) -> NotFound:
    return NotFound(f"There is no key {key_id}. 'safelight keys list' shows those that exist.", param="key")


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
