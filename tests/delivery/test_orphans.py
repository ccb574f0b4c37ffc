"""The night's look at a day's files: what belongs to nothing goes, what belongs to something stays, and what is
missing is told."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from safelight.domain.generations import GenerationType
from safelight.domain.object_keys import thumbnail_key
from safelight.domain.request import ImageInput, Request
from safelight.keeping import orphans
from safelight.keeping.download import file_of
from safelight.keeping.orphans import Findings, sweep_orphans
from safelight.lifecycle.cancel import cancel
from tests.lifecycle.studio import Studio, open_studio
from tests.references import files

pytestmark = pytest.mark.database

STRANGER = "req-01JZ0000000000000000000000"
PICTURE = "data:image/png;base64," + base64.b64encode(files.png()).decode()
ASKED = Request(
    type=GenerationType.VIDEO, model="clip", prompt="a hill", images=(ImageInput(url=PICTURE, role="first_frame"),)
)


async def look(studio: Studio, days: set[str], *, older_than: timedelta = timedelta(seconds=-60)) -> Findings:
    """At each day: work that goes on around midnight has two."""
    services = studio.parts.keeping
    found = [
        await sweep_orphans(services, day=datetime.strptime(day, "%Y/%m/%d").replace(tzinfo=UTC), older_than=older_than)
        for day in sorted(days)
    ]
    return Findings(
        removed=sum(each.removed for each in found), missing=tuple(key for each in found for key in each.missing)
    )


@pytest.mark.parametrize("batch", [1, 1000])
async def test_what_belongs_to_something_stays_and_the_rest_goes(
    fresh_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(orphans, "_BATCH", batch)  # a thumbnail may come without its original
    async with open_studio(fresh_database_url, tmp_path) as studio:
        owner, store = await studio.workspace(), studio.parts.keeping.store
        made, deleted, lost = [(await studio.make(owner)).view.id for _ in range(3)]
        waiting, canceled = [await studio.submit_video(owner, ASKED) for _ in range(2)]
        of_canceled = next(key for key in [facts.key async for facts in store.walk("inputs")] if canceled in key)
        await cancel(studio.parts.running, studio.parts.viewing, owner.workspace_id, canceled, GenerationType.VIDEO)
        keys = {
            id_: (await file_of(studio.parts.keeping, owner.workspace_id, id_, 0)).key for id_ in (made, deleted, lost)
        }
        small = (await file_of(studio.parts.keeping, owner.workspace_id, made, 0, "thumbnail")).key
        assert small == thumbnail_key(keys[made])
        inputs = {facts.key async for facts in store.walk("inputs")}
        kept_input = next(key for key in inputs if waiting in key)
        days = {"/".join(key.split("/")[1:4]) for key in (*keys.values(), *inputs)}
        strays = {f"{folder}/{min(days)}/{STRANGER}-0.png" for folder in ("media", "inputs")}
        strays |= {f"media/{min(days)}/{STRANGER}-0.png.thumb.webp", of_canceled}
        for key in strays:
            (tmp_path / "stray").write_bytes(b"a file of nobody's")
            await store.put(key, tmp_path / "stray", mime_type="image/png")
        await studio.rows(
            "update media set tombstoned_at = now(), deleted_at = now() where generation_id = %s", deleted
        )

        assert await look(studio, days, older_than=timedelta(hours=1)) == Findings(removed=0, missing=())
        assert (await look(studio, days)).removed == len(strays) + 1, "and the deleted file"
        left = {facts.key for folder in ("media", "inputs") async for facts in store.walk(folder)}
        assert left == {keys[made], small, keys[lost], kept_input}

        await store.delete([keys[lost]])
        with capture_logs() as logged:
            assert await look(studio, days) == Findings(removed=0, missing=(keys[lost],))
        assert {"event": "a file is missing from the store", "key": keys[lost], "log_level": "error"} in logged
