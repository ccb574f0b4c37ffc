"""A deletion that did not happen is not told as one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight.domain.errors import NotFound
from safelight.keeping.expire import delete_media
from safelight.keeping.receipts import receipt
from tests.lifecycle.studio import Studio

pytestmark = pytest.mark.database


class Stubborn:
    """A store that says that it deletes, and shows the object still."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def delete(self, keys: list[str]) -> None:
        pass


async def test_no_receipt_for_a_file_that_the_store_still_shows(studio: Studio) -> None:
    owner = await studio.workspace()
    made = (await studio.make(owner)).view.id
    keeping = studio.parts.keeping
    await delete_media(msgspec.structs.replace(keeping, store=Stubborn(keeping.store)), owner.workspace_id, made)
    with pytest.raises(NotFound, match="no receipt yet"):
        await receipt(keeping, owner.workspace_id, made)
    [(key, tombstoned, deleted)] = await studio.rows(
        "select key, tombstoned_at, deleted_at from media where generation_id = %s", made
    )
    assert (tombstoned is not None, deleted) == (True, None)
    assert await keeping.store.exists(key)

    await delete_media(keeping, owner.workspace_id, made)
    assert not await keeping.store.exists(key)
    assert [file.index for file in (await receipt(keeping, owner.workspace_id, made)).files] == [0]
