"""What every dialect asks for below the API: a file by workspace and id, a generation with its parameters, an image."""

from __future__ import annotations

import pytest

from safelight.domain.errors import ContentPolicyViolation, DownloadExpired, GenerationFailed, NotFound
from safelight.domain.generations import GenerationType, State
from safelight.domain.pricing import Price
from safelight.keeping.download import file_of
from safelight.keeping.expire import delete_media
from safelight.lifecycle.cancel import cancel
from safelight.lifecycle.views import detail, follow, list_views, view_of_any_type
from tests.lifecycle.studio import Studio

pytestmark = pytest.mark.database

NOWHERE = "req-" + "0" * 26


async def test_a_file_by_workspace_and_id(studio: Studio) -> None:
    owner = await studio.workspace()
    made = (await studio.make(owner)).view
    keeping = studio.parts.keeping
    found = await file_of(keeping, owner.workspace_id, made.id, 0)
    assert (found.generation_id, found.index, found.mime_type, found.is_stored) == (made.id, 0, "image/jpeg", True)
    assert len(await keeping.store.get(found.key)) == found.size_bytes
    small = await file_of(keeping, owner.workspace_id, made.id, 0, "thumbnail")
    assert (small.mime_type, small.variant, small.key != found.key) == ("image/webp", "thumbnail", True)


async def test_no_file_of_another_workspace(studio: Studio) -> None:
    owner, stranger = await studio.workspace(), await studio.workspace()
    made = (await studio.make(owner)).view
    said = set()
    for workspace_id, generation_id, index, variant in (
        (stranger.workspace_id, made.id, 0, None),
        (stranger.workspace_id, made.id, 0, "thumbnail"),
        (stranger.workspace_id, NOWHERE, 0, None),
        (owner.workspace_id, "nonsense", 0, None),
        (owner.workspace_id, made.id, 1, None),
        (owner.workspace_id, made.id, 2**70, None),
        (owner.workspace_id, made.id, -1, None),
        (owner.workspace_id, made.id, 0, "poster"),
    ):
        with pytest.raises(NotFound) as caught:
            await file_of(studio.parts.keeping, workspace_id, generation_id, index, variant)
        said.add((caught.value.message, caught.value.param))
    assert len(said) == 1


async def test_a_deleted_file_is_told_to_its_workspace_alone(studio: Studio) -> None:
    owner, stranger = await studio.workspace(), await studio.workspace()
    made = (await studio.make(owner)).view
    await delete_media(studio.parts.keeping, owner.workspace_id, made.id)
    for variant in (None, "thumbnail"):
        with pytest.raises(DownloadExpired):
            await file_of(studio.parts.keeping, owner.workspace_id, made.id, 0, variant)
        with pytest.raises(NotFound):
            await file_of(studio.parts.keeping, stranger.workspace_id, made.id, 0, variant)


async def test_a_file_past_its_time_that_no_sweep_has_taken(studio: Studio) -> None:
    owner = await studio.workspace()
    made = (await studio.make(owner)).view
    await studio.rows("update media set deletes_at = now() - interval '1 s' where generation_id = %s", made.id)
    with pytest.raises(DownloadExpired):
        await file_of(studio.parts.keeping, owner.workspace_id, made.id, 0)


async def test_a_generation_with_its_prompt_and_terms(studio: Studio) -> None:
    owner = await studio.workspace()
    made = await studio.make(owner, prompt="a red hill", resolution="2K", retention_seconds=600, store=False)
    found = await detail(studio.parts.viewing, owner.workspace_id, made.view.id)
    assert found.spec is not None
    assert (found.spec.prompt, found.spec.resolution, found.spec.output_format) == ("a red hill", "2K", "jpeg")
    assert found.price == Price(billable_unit="image", unit_price_nanos=80_000_000, quantity=1)
    assert (found.retention_seconds, found.is_stored, found.api_key_id) == (600, False, owner.key_id)
    assert (found.view.id, found.view.state, found.view.media) == (made.view.id, State.COMPLETED, made.view.media)
    assert found.view.usage == made.view.usage


async def test_what_was_asked_for_goes_with_the_media(studio: Studio) -> None:
    owner = await studio.workspace()
    deleted, overdue = (await studio.make(owner)).view.id, (await studio.make(owner)).view.id
    await delete_media(studio.parts.keeping, owner.workspace_id, deleted)
    await studio.rows("update generations set deletes_at = now() - interval '1 s' where id = %s", overdue)
    for generation_id in (deleted, overdue):
        found = await detail(studio.parts.viewing, owner.workspace_id, generation_id)
        assert (found.spec, found.price.total_nanos) == (None, 50_000_000)


async def test_no_details_for_another_workspace(studio: Studio) -> None:
    owner, stranger = await studio.workspace(), await studio.workspace()
    made = (await studio.make(owner)).view.id
    said = set()
    for generation_id in (made, NOWHERE, "nonsense"):
        with pytest.raises(NotFound) as caught:
            await detail(studio.parts.viewing, stranger.workspace_id, generation_id)
        said.add(caught.value.message)
    assert len(said) == 1


async def test_an_image_that_came_to_nothing_says_why(studio: Studio) -> None:
    owner = await studio.workspace()
    assert (await studio.make(owner)).error is None
    for model, error in (("still-refused", ContentPolicyViolation), ("still-broken", GenerationFailed)):
        made = await studio.make(owner, model=model)
        assert type(made.error) is error
        assert made.error.message == made.view.error_message
        assert (await detail(studio.parts.viewing, owner.workspace_id, made.view.id)).view.state is State.FAILED


async def test_following_one_that_has_ended(studio: Studio) -> None:
    owner = await studio.workspace()
    made = (await studio.make(owner)).view
    seen = [each async for each in follow(studio.parts.viewing, owner.workspace_id, made.id, quiet_seconds=5)]
    assert [each and each.state for each in seen] == [State.COMPLETED]


async def test_a_video_that_waits_is_told_its_place_in_the_queue(studio: Studio) -> None:
    owner, other = await studio.workspace(), await studio.workspace()
    waiting = [await studio.submit_video(sender) for sender in (owner, other, owner, owner)]

    async def places() -> list[int | None]:
        seen = [
            await view_of_any_type(studio.parts.viewing, (other if at == 1 else owner).workspace_id, generation_id)
            for at, generation_id in enumerate(waiting)
        ]
        return [each.queue_position for each in seen]

    first, *rest = await places()
    assert first is not None and first >= 1
    assert rest == [first + 1, first + 2, first + 3], "another workspace's counts as well"
    await cancel(studio.parts.running, studio.parts.viewing, other.workspace_id, waiting[1], GenerationType.VIDEO)
    assert await places() == [first, None, first + 1, first + 2]
    made = (await studio.make(owner)).view
    seen = await view_of_any_type(studio.parts.viewing, owner.workspace_id, made.id)
    assert seen.queue_position is None


async def test_pages_of_a_list_follow_each_other(studio: Studio) -> None:
    owner = await studio.workspace()
    made = [(await studio.make(owner)).view.id for _ in range(5)]
    shown: list[list[str]] = []
    while not shown or shown[-1]:
        after = shown[-1][-1] if shown else None
        page = await list_views(studio.parts.viewing, owner.workspace_id, type_=None, states=None, after=after, limit=2)
        shown.append([each.id for each in page])
    assert shown == [made[:2:-1], made[2:0:-1], made[:1], []]
