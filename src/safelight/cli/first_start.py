"""What a first start makes: the default workspace with a balance to play with, and a key."""

from __future__ import annotations

from pathlib import Path

import msgspec

from safelight.accounts.credit import add_credit
from safelight.accounts.keys import create_key
from safelight.accounts.workspaces import create_workspace, workspace_scope
from safelight.cli.options import DEFAULT_WORKSPACE
from safelight.db.pool import Database
from safelight.domain.money import NANOS_PER_USD
from safelight.domain.scope import OPERATOR
from safelight.node.data_folder import write_private

PLAY_CREDIT_NANOS = 1_000 * NANOS_PER_USD


class FirstStart(msgspec.Struct, frozen=True, kw_only=True):
    """What was made; ``key`` None and ``play_credit`` False where it was there already.

    ``link``: to the dashboard, good once; None where that is off.
    """

    key: str | None
    play_credit: bool
    link: str | None = None


async def ensure_default_workspace(database: Database) -> bool:
    """Make the default workspace, with credit to play with. False if it is there already."""
    made = await create_workspace(OPERATOR, database, DEFAULT_WORKSPACE)
    if made is None:
        return False
    reason = "Play money of the first start"
    await add_credit(OPERATOR, database, to=made, amount_nanos=PLAY_CREDIT_NANOS, reason=reason)
    return True


async def prepare_first_start(database: Database, key_file: Path, *, has_key: bool) -> FirstStart:
    """Make the default workspace, and unless ``has_key`` a key in ``key_file``, where they are missing."""
    play_credit = await ensure_default_workspace(database)
    if has_key:
        return FirstStart(key=None, play_credit=play_credit)
    key = await create_key(await workspace_scope(OPERATOR, database, DEFAULT_WORKSPACE), database, name="safelight up")
    write_private(key_file, f"{key.secret}\n")
    return FirstStart(key=key.secret, play_credit=play_credit)
