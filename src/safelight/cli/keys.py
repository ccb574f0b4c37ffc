"""``safelight keys``: API keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from safelight.accounts.audit import Action
from safelight.accounts.keys import KeyRecord, NewKey, create_key, list_keys, revoke_key
from safelight.accounts.workspaces import scope_of, workspace_scope
from safelight.cli.audit import note
from safelight.cli.database import with_database
from safelight.cli.first_start import ensure_default_workspace
from safelight.cli.numbers import ROW, amount, whole
from safelight.cli.options import DEFAULT_WORKSPACE, AsJson, DataDir
from safelight.cli.show import print_json, print_table
from safelight.db.pool import Database
from safelight.domain.money import format_usd
from safelight.domain.roles import Role
from safelight.domain.scope import OPERATOR

_MOST_DAYS = 36_500


def create(
    *,
    workspace: Annotated[str, Parameter(help="The workspace that the key spends for.")] = DEFAULT_WORKSPACE,
    name: Annotated[str, Parameter(help="What you will know the key by.")] = "default",
    role: Annotated[
        Literal["read", "generate", "admin"],
        Parameter(
            help="What the key may do: see all that the workspace has; also order and delete; also keys and webhooks."
        ),
    ] = "generate",
    spend_cap: Annotated[str | None, Parameter(help="Most that the key may spend, in US dollars, such as 25.")] = None,
    expires_days: Annotated[
        int | None, Parameter(help="Days until the key ends. Without it: never."), whole(1, _MOST_DAYS)
    ] = None,
    plain: Annotated[bool, Parameter(negative="", help="Print the key and nothing else.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make an API key and print it. It is shown this once: only its fingerprint is kept."""
    cap = None if spend_cap is None else amount(spend_cap)
    expires_at = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)

    async def work(database: Database) -> NewKey:
        if workspace == DEFAULT_WORKSPACE:
            await ensure_default_workspace(database)
        scope = await workspace_scope(OPERATOR, database, workspace)
        made = await create_key(scope, database, name=name, role=Role(role), spend_cap_nanos=cap, expires_at=expires_at)
        await note(database, Action.KEY_CREATE, made.id, scope=scope, role=role, spend_cap=spend_cap)
        return made

    key = with_database(data_dir, work, may_create=True)
    if plain:
        print(key.secret)
    elif as_json:
        print_json({"id": key.id, "key": key.secret, "workspace": workspace, "name": name, "role": role})
    else:
        print(
            f"{key.secret}\n\nKey {key.id} of workspace {workspace!r}, role '{role}'. Keep it: it is not shown again."
        )


def list_all(
    *,
    workspace: Annotated[str | None, Parameter(help="Only this workspace's keys.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List API keys: their first and last characters, and whether they work."""

    async def work(database: Database) -> list[KeyRecord]:
        return await list_keys(await scope_of(OPERATOR, database, workspace), database)

    rows = [_row(key) for key in with_database(data_dir, work)]
    if as_json:
        print_json(rows)
        return
    columns = ["id", "workspace", "name", "key", "role", "state", "spent", "spend_cap", "last_used_at", "created_at"]
    print_table(rows, columns=columns, empty="There is no key. 'safelight keys create' makes one.")


def revoke(
    key_id: Annotated[int, Parameter(name="id", help="The key's number in 'safelight keys list'."), ROW],
    /,
    *,
    data_dir: DataDir = None,
) -> None:
    """End an API key for good, within a second everywhere. Work that it started goes on."""

    async def work(database: Database) -> None:
        await revoke_key(OPERATOR, database, key_id)
        await note(database, Action.KEY_REVOKE, key_id)

    with_database(data_dir, work)
    print(f"Key {key_id} is revoked.")


def _row(key: KeyRecord) -> dict[str, Any]:
    facts = msgspec.structs.asdict(key)
    cap, spent = facts.pop("spend_cap_nanos"), facts.pop("spent_nanos")
    ended = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return {
        **facts,
        "key": f"{facts.pop('prefix')}...{facts.pop('last_four')}",
        "state": "revoked" if key.revoked_at else "expired" if ended else "active",
        "spent": None if cap is None else format_usd(spent),  # it is counted for keys with a cap
        "spend_cap": None if cap is None else format_usd(cap),
    }
