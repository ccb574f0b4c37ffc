"""Another take of a generation, and lists of generations with what was asked for."""

from __future__ import annotations

import base64

import msgspec
import pytest

from safelight.domain.errors import InvalidParameter, NotFound
from safelight.domain.generations import GenerationType
from safelight.domain.request import ImageInput, Request
from safelight.keeping.expire import delete_media
from safelight.lifecycle.remix import take_of
from safelight.lifecycle.views import GenerationDetail, detail, list_details
from safelight.providers.noop import png
from tests.lifecycle.studio import Studio

pytestmark = pytest.mark.database

PICTURE = ImageInput(url=f"data:image/png;base64,{base64.b64encode(png()).decode()}")
LONG = 10**9


async def test_it_is_asked_for_as_the_first_was(studio: Studio) -> None:
    owner = await studio.workspace()
    made = await studio.make(owner, resolution="2K", aspect_ratio="16:9", images=(PICTURE,), store=False)
    first = await detail(studio.parts.viewing, owner.workspace_id, made.view.id)
    wanted = take_of(first, "a lake", most_retention_seconds=LONG)
    again = await studio.make(owner, **_fields(wanted))
    second = await detail(studio.parts.viewing, owner.workspace_id, again.view.id)
    assert first.spec is not None
    assert second.spec is not None
    (old,), (new,) = first.spec.references, second.spec.references
    assert (new.role, new.mime_type, new.key != old.key) == (old.role, old.mime_type, True)
    store = studio.parts.keeping.store
    assert await store.get(new.key) == await store.get(old.key)
    assert second.spec == msgspec.structs.replace(first.spec, prompt="a lake", references=(new,))
    assert (second.price, second.is_stored, second.retention_seconds) == (first.price, False, first.retention_seconds)
    third = await studio.make(owner, **_fields(take_of(second, "a sea", most_retention_seconds=LONG)))
    assert third.error is None, "its references are its own"


async def test_it_is_kept_no_longer_than_is_allowed_by_now(studio: Studio) -> None:
    first = await _made(studio, retention_seconds=600)
    kept = [take_of(first, "a lake", most_retention_seconds=most).retention_seconds for most in (599, 600, 601)]
    assert kept == [599, 600, 600]


async def test_what_the_catalog_has_no_more_is_refused_and_holds_nothing(studio: Studio) -> None:
    owner = await studio.workspace()
    made = await studio.make(owner, images=(PICTURE,))
    first = await detail(studio.parts.viewing, owner.workspace_id, made.view.id)
    wanted = take_of(first, "a lake", most_retention_seconds=LONG)
    references = wanted.references * 3  # of which the model takes two
    with pytest.raises(InvalidParameter, match="at most 2 of role reference_image"):
        await studio.make(owner, **{**_fields(wanted), "references": references})
    with pytest.raises(InvalidParameter, match="at most 2 of role reference_image"):
        await studio.make(owner, **{**_fields(wanted), "references": references[:1], "images": (PICTURE, PICTURE)})
    assert len(await studio.rows("select id from generations where workspace_id = %s", owner.workspace_id)) == 1


async def test_a_picture_that_is_gone_is_said_and_holds_nothing(studio: Studio) -> None:
    owner = await studio.workspace()
    made = await studio.make(owner, images=(PICTURE,))
    first = await detail(studio.parts.viewing, owner.workspace_id, made.view.id)
    assert first.spec is not None
    await studio.parts.keeping.store.delete([each.key for each in first.spec.references])
    with pytest.raises(NotFound, match="no longer kept"):
        await studio.make(owner, **_fields(take_of(first, "a lake", most_retention_seconds=LONG)))
    assert len(await studio.rows("select id from generations where workspace_id = %s", owner.workspace_id)) == 1


async def test_of_one_that_has_no_prompt_or_no_end_there_is_none(studio: Studio) -> None:
    owner = await studio.workspace()
    made = (await studio.make(owner)).view.id
    await delete_media(studio.parts.keeping, owner.workspace_id, made)
    with pytest.raises(NotFound, match="gone with the media"):
        take_of(await detail(studio.parts.viewing, owner.workspace_id, made), "a lake", most_retention_seconds=LONG)
    waiting = await detail(studio.parts.viewing, owner.workspace_id, await studio.submit_video(owner))
    with pytest.raises(InvalidParameter, match="not completed"):
        take_of(waiting, "a lake", most_retention_seconds=LONG)


async def test_a_generation_of_another_type_is_absent(studio: Studio) -> None:
    owner = await studio.workspace()
    made = (await studio.make(owner)).view.id
    assert (await detail(studio.parts.viewing, owner.workspace_id, made, GenerationType.IMAGE)).view.id == made
    with pytest.raises(NotFound) as of_an_image:
        await detail(studio.parts.viewing, owner.workspace_id, made, GenerationType.VIDEO)
    with pytest.raises(NotFound) as of_nothing:
        await detail(studio.parts.viewing, owner.workspace_id, "req-" + "0" * 26, GenerationType.VIDEO)
    assert of_an_image.value.message == of_nothing.value.message


async def test_pages_both_ways(studio: Studio) -> None:
    owner, stranger = await studio.workspace(), await studio.workspace()
    ids = []
    for number in range(5):
        ids.append(await studio.submit_video(owner, _clip(f"hill {number}")))
        await studio.submit_video(stranger)
    await studio.make(owner)
    await studio.rows("update generations set state = 'running' where id = %s returning id", ids[1])
    for newest_first, wanted in ((True, ids[::-1]), (False, ids)):
        shown: list[list[str]] = []
        while not shown or shown[-1]:
            after = shown[-1][-1] if shown else None
            page = await _page(studio, owner.workspace_id, newest_first=newest_first, after=after, limit=2)
            shown.append([each.view.id for each in page])
        assert shown == [wanted[:2], wanted[2:4], wanted[4:], []]
    page = await _page(studio, owner.workspace_id, newest_first=False, after=None, limit=5)
    assert [each.spec and each.spec.prompt for each in page] == [f"hill {number}" for number in range(5)]
    await studio.rows("update generations set state = 'queued' where id = %s returning id", ids[1])


async def _made(studio: Studio, **fields: object) -> GenerationDetail:
    owner = await studio.workspace()
    made = await studio.make(owner, **fields)
    return await detail(studio.parts.viewing, owner.workspace_id, made.view.id)


async def _page(
    studio: Studio, workspace_id: int, *, newest_first: bool, after: str | None, limit: int
) -> list[GenerationDetail]:
    return await list_details(
        studio.parts.viewing, workspace_id, GenerationType.VIDEO, newest_first=newest_first, after=after, limit=limit
    )


def _fields(request: Request) -> dict[str, object]:
    return msgspec.structs.asdict(request)


def _clip(prompt: str) -> Request:
    return Request(type=GenerationType.VIDEO, model="clip", prompt=prompt)
