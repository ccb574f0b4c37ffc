"""Several generations of one request: accepted all or none, and repeated as one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.domain.errors import (
    IdempotencyConflict,
    InvalidParameter,
    QuotaExceeded,
    RateLimited,
    ServiceUnavailable,
)
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.money import format_usd
from safelight.domain.scope import Principal
from safelight.lifecycle import accept as accept_module
from safelight.lifecycle import submit as submit_module
from safelight.lifecycle.submit import Submission, key_use, submit_all
from tests.money.several import COUNT, PICTURE, PRICE, House, asked

pytestmark = pytest.mark.database


# All or none


@settings(max_examples=60)
@given(
    count=st.integers(1, 10),
    before=st.integers(0, 3),
    affordable=st.integers(0, 12),
    missing_nanos=st.integers(0, 1),
    concurrency=st.integers(1, 12),
    rpm=st.integers(1, 12),
    cap=st.none() | st.integers(0, 12),
    type_=st.sampled_from(GenerationType),
    pictures=st.integers(0, 1),
    key=st.none() | st.just("k"),
)
async def test_all_are_accepted_or_nothing_moves(
    house: House,
    count: int,
    before: int,
    affordable: int,
    missing_nanos: int,
    concurrency: int,
    rpm: int,
    cap: int | None,
    type_: GenerationType,
    pictures: int,
    key: str | None,
) -> None:
    price = PRICE if type_ is GenerationType.IMAGE else 10 * PRICE
    nanos = (before + affordable) * price - missing_nanos
    if nanos <= 0:
        nanos = 1
    customer, sender = await house.sender(
        format_usd(nanos),
        spend_cap=None if cap is None else format_usd(max(1, (before + cap) * price)),
        concurrency=concurrency + before,
        image_rpm=rpm + before,
        video_rpm=rpm + before,
    )
    submitting = house.parts.submitting
    for _ in range(before if nanos >= before * price else 0):
        await submit_all(submitting, asked(sender, type_=type_), 1)
    was = await house.everything(customer)
    minute = await house.shop.query("select date_trunc('minute', now())")
    role: ReferenceRole | None = "first_frame" if type_ is GenerationType.VIDEO else None
    images = (msgspec.structs.replace(PICTURE, role=role),) * pictures
    submission = asked(sender, type_=type_, images=images, idempotency_key=key)
    under_way = was["in_flight"]
    fits = (
        under_way + count <= concurrency + before
        and under_way + count <= rpm + before
        and count * price <= was["available_nanos"]
        and (cap is None or was["spent"] + count * price <= max(1, (before + cap) * price))
    )
    if minute != await house.shop.query("select date_trunc('minute', now())"):
        return  # the window began anew meanwhile
    try:
        accepted = await submit_all(submitting, submission, count)
    except (QuotaExceeded, RateLimited, InvalidParameter) as refusal:
        assert not fits, refusal
        assert await house.everything(customer) == was
        return
    assert fits or minute != await house.shop.query("select date_trunc('minute', now())")
    assert len({each.id for each in accepted}) == count
    now = await house.everything(customer)
    assert now["available_nanos"] == was["available_nanos"] - count * price
    assert now["held_nanos"] == was["held_nanos"] + count * price
    assert now["in_flight"] == under_way + count
    assert now["generations"] == was["generations"] + count
    assert now["transfers"] == was["transfers"] + count
    assert now["idempotency_keys"] == was["idempotency_keys"] + (count if key else 0)
    assert now["spent"] == was["spent"] + (0 if cap is None else count * price)
    assert now["jobs"] == was["jobs"] + (count if type_ is GenerationType.VIDEO else 0)
    assert len(now["inputs"]) == len(was["inputs"]) + count * pictures
    assert (accepted[0].claim is None) == (type_ is GenerationType.VIDEO)


async def test_more_than_may_ever_be_is_said_so(house: House) -> None:
    """No waiting makes room for it."""
    _, sender = await house.sender(concurrency=3, image_rpm=5)
    with pytest.raises(InvalidParameter, match="Use 3 at most") as refused:
        await submit_all(house.parts.submitting, asked(sender), COUNT)
    assert refused.value.param == "n"


@pytest.mark.parametrize("retry_count", [0, 1])
async def test_fifty_at_once_over_two_processes_are_four(house: House, retry_count: int) -> None:
    customer, sender = await house.sender("0.20", concurrency=COUNT, image_rpm=COUNT)
    submission = asked(sender, idempotency_key="k" * 255, retry_count=retry_count, images=(PICTURE,))
    answers = await asyncio.gather(
        *(submit_all(parts.submitting, submission, COUNT) for parts in house.both for _ in range(25)),
        return_exceptions=True,
    )
    given_ = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert {type(answer) for answer in answers if isinstance(answer, BaseException)} <= {ServiceUnavailable}
    assert len(given_) == 50
    assert len({tuple(each.id for each in answer) for answer in given_}) == 1
    assert sum(not each.is_replay for answer in given_ for each in answer) == COUNT
    now = await house.everything(customer)
    assert (now["generations"], now["transfers"], now["available_nanos"]) == (COUNT, COUNT + 1, 0)
    kept = [key for key in now["inputs"] if any(each.id in key for each in given_[0])]
    assert len(kept) == COUNT == len(set(kept))


async def test_who_asks_for_more_with_one_key_is_told(house: House) -> None:
    _, sender = await house.sender()
    first = await submit_all(house.parts.submitting, asked(sender, b"four", idempotency_key="k"), COUNT)
    with pytest.raises(IdempotencyConflict):
        await submit_all(house.parts.submitting, asked(sender, b"two", idempotency_key="k"), 2)
    with pytest.raises(IdempotencyConflict):
        await submit_all(house.parts.submitting, asked(sender, b"one", idempotency_key="k"), 1)
    again = await submit_all(house.parts.submitting, asked(sender, b"four", idempotency_key="k"), COUNT)
    assert [each.id for each in again] == [each.id for each in first]
    use = await key_use(house.parts.submitting, sender.workspace_id, "k")
    assert use is not None
    assert use.generation_id == first[0].id


@pytest.mark.parametrize("key", ["", "k" * 256, "\x1f1\x1fa", "a\nb"])
async def test_no_client_has_the_key_of_a_part(house: House, key: str) -> None:
    customer, sender = await house.sender()
    with pytest.raises(InvalidParameter):
        await submit_all(house.parts.submitting, asked(sender, idempotency_key=key), COUNT)
    assert await house.shop.count(customer) == 0


async def test_a_repeat_that_comes_in_between_joins_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is looked for before they are on record, and the others after."""
    customer, sender = await house.sender()
    submission = asked(sender)
    repeat = msgspec.structs.replace(submission, retry_count=1)
    looked, found = asyncio.Event(), submit_module._earlier_attempt
    on_record = asyncio.Event()

    async def slowly(services: Any, part: Submission) -> str | None:
        earlier = await found(services, part)
        if part.retry_count and not looked.is_set():
            looked.set()
            await on_record.wait()
        return earlier

    monkeypatch.setattr(submit_module, "_earlier_attempt", slowly)
    repeating = asyncio.create_task(submit_all(house.parts.submitting, repeat, COUNT))
    await looked.wait()
    first = await submit_all(house.parts.submitting, submission, COUNT)
    on_record.set()
    assert [each.id for each in await repeating] == [each.id for each in first]
    assert await house.shop.count(customer) == COUNT


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("cap", [None, "5"])
async def test_an_answer_of_the_database_that_is_lost(
    house: House, monkeypatch: pytest.MonkeyPatch, is_committed: bool, cap: str | None
) -> None:
    """The connection breaks at the commit: what is on record decides, and a repeat joins it."""
    customer, sender = await house.sender(spend_cap=cap)
    submission = asked(sender, images=(PICTURE,), idempotency_key="k")
    insert = accept_module._insert

    async def breaking(services: Any, new: Any, **more: Any) -> Any:
        async with services.db.connection() as connection:
            if is_committed:
                await insert(services, new, **more)
            await connection.close()
            raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(accept_module, "_insert", breaking)
    if is_committed:
        accepted = await submit_all(house.parts.submitting, submission, COUNT)
        assert all(each.claim is not None for each in accepted)
    else:
        with pytest.raises(ServiceUnavailable):
            await submit_all(house.parts.submitting, submission, COUNT)
        assert await house.shop.count(customer) == 0
    monkeypatch.undo()
    again = await submit_all(house.parts.submitting, submission, COUNT)
    assert all(each.is_replay is is_committed for each in again)
    now = await house.everything(customer)
    assert (now["generations"], now["held_nanos"], now["in_flight"]) == (COUNT, COUNT * PRICE, COUNT)


@pytest.mark.parametrize("cap", [None, "0.15"])
@pytest.mark.parametrize("type_", GenerationType)
async def test_a_connection_is_as_before_after_a_refusal(house: House, cap: str | None, type_: GenerationType) -> None:
    """A refusal in the middle of a pipeline leaves no transaction open: the next one is accepted."""
    customer, sender = await house.sender("0.60", spend_cap=cap)
    for _ in range(12):
        with pytest.raises(QuotaExceeded):
            await submit_all(house.parts.submitting, asked(sender, type_=type_), 20 if cap is None else COUNT)
    assert await house.shop.count(customer) == 0
    await submit_all(house.parts.submitting, asked(sender), 3)
    assert await house.shop.count(customer) == 3


# Who is asked for


async def hashes(house: House, *, of: Sequence[tuple[Principal, str]]) -> list[str]:
    accepted = [await submit_all(house.parts.submitting, asked(sender, end_user=name), 1) for sender, name in of]
    rows = await house.shop.query(
        "select id, end_user from generations where id = any(%s)", [each.id for (each,) in accepted]
    )
    return [dict(rows)[each.id] for (each,) in accepted]


async def test_an_end_user_is_one_within_a_workspace_and_unknown_outside(house: House) -> None:
    (_, one), (_, other) = await house.sender(), await house.sender()
    anna, again, bert, elsewhere = await hashes(
        house, of=[(one, "anna"), (one, "anna"), (one, "bert"), (other, "anna")]
    )
    assert anna == again
    assert len({anna, bert, elsewhere}) == 3
    plain = hashlib.sha256(b"anna").hexdigest()
    assert plain not in (anna, elsewhere)
    assert "anna" not in str(await house.shop.query("select to_jsonb(g) from generations g where end_user = %s", anna))


async def test_the_first_uses_at_once_agree_on_one_key(house: House) -> None:
    customer, sender = await house.sender("5")
    await asyncio.gather(
        *(submit_all(parts.submitting, asked(sender, end_user="anna"), 2) for parts in house.both for _ in range(10))
    )
    rows = await house.shop.query(
        "select end_user, count(*) from generations where workspace_id = %s group by 1", customer.id
    )
    assert [count for _, count in rows] == [40]


async def test_with_a_workspace_goes_what_would_tell_its_end_users(house: House) -> None:
    customer, sender = await house.sender()
    await hashes(house, of=[(sender, "anna")])
    before = await house.shop.query("select end_user_key from workspaces where id = %s", customer.id)
    assert len(bytes(before[0][0])) == 32
    db = house.parts.db
    await db.run("begin_erasure", {"workspace_id": customer.id})
    while (await house.shop.query("select end_user from generations where workspace_id = %s", customer.id)) != [
        (None,)
    ]:
        await db.run("erase_generations", {"workspace_id": customer.id})
    assert await house.shop.query("select end_user_key from workspaces where id = %s", customer.id) == [(None,)]
