"""What each adapter is asked. A file of tests takes all of it: ``from tests.conformance.scenarios import *``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Cancellation, Completed, Pending
from safelight.domain.ports import BatchPollable, Callback, Cancelable, Checkable, Findable, Hintable, Pollable
from tests.conformance.front import Front
from tests.conformance.vendor import CANARY, Scenario, Trouble, Vendor, spellings_of_the_key

_Test = Callable[[Front, Vendor], Awaitable[None]]
_TROUBLES = {
    Scenario.REFUSED: Trouble.REFUSES,
    Scenario.RATE_LIMITED: Trouble.RATE_LIMITS,
    Scenario.EXHAUSTED: Trouble.IS_EXHAUSTED,
    Scenario.TRANSIENT: Trouble.BREAKS,
}
"""What a vendor has words for."""


def lacking(which: Scenario) -> Callable[[_Test], _Test]:
    """A test of those alone that lack this scenario, and say of what is asked that it cannot be."""

    def marked(test: _Test) -> _Test:
        test.lacking = which  # type: ignore[attr-defined]
        return test

    return marked


def scenario(which: Scenario) -> Callable[[_Test], _Test]:
    """A test of this scenario; a vendor that lacks it is not asked (``conftest``)."""

    def marked(test: _Test) -> _Test:
        test.scenario = which  # type: ignore[attr-defined]
        return test

    return marked


@scenario(Scenario.MADE)
async def test_an_order_is_made_once_and_kept_bare(front: Front, vendor: Vendor) -> None:
    before = len(vendor.orders()), vendor.jobs()
    result = await front.make(front.request())
    result.check_one_end("completed")
    assert (len(vendor.orders()), vendor.jobs()) == (before[0] + 1, before[1] + 1)
    assert result.row["tries"] == 0
    (file,) = result.files
    starts = (b"\x89PNG",) if vendor.type is GenerationType.IMAGE else (b"ftyp",)
    assert any(start in file[:12] for start in starts)
    for trace in vendor.traces():
        assert trace not in file, "the backend's own metadata"
    assert vendor.orders()[-1].prompt == "a hill"


@scenario(Scenario.CANCELED)
async def test_a_wish_to_cancel_reaches_it(front: Front, vendor: Vendor) -> None:
    provider = front.studio.parts.running.backends.open("vendor").provider
    assert isinstance(provider, Cancelable) and isinstance(provider, Pollable)
    owner = await front.studio.workspace()
    vendor.hold()
    try:
        generation_id = await front.submit(owner, front.request())
        await front.until_taken(generation_id)
        await front.cancel(owner, generation_id)
        result = await front.until(generation_id, "canceled", "completed", "failed")
    finally:
        vendor.release()
    result.check_one_end("canceled")
    assert await vendor.is_stopped()
    await asyncio.wait([front._making])


@lacking(Scenario.CANCELED)
@scenario(Scenario.RESTARTED)
async def test_a_job_that_cannot_be_canceled_is_seen_through(front: Front, vendor: Vendor) -> None:
    """The wish itself is tried: an adapter that says of a job that it stopped would give its file away."""
    provider, owner = front.studio.parts.running.backends.open("vendor").provider, await front.studio.workspace()
    vendor.hold()
    try:
        generation_id = await front.submit(owner, front.request())
        await front.until_taken(generation_id)
        asked = await front.asked(generation_id)
        if isinstance(provider, Cancelable):
            assert await provider.cancel(asked.handle, asked.job) is Cancellation.TOO_LATE
    finally:
        vendor.release()
    (await front.until(generation_id, "completed", "failed", "canceled")).check_one_end("completed")
    await asyncio.wait([front._making])


@scenario(Scenario.RESTARTED)
async def test_a_job_is_seen_through_after_a_restart(front: Front, vendor: Vendor) -> None:
    await _resumed(front, vendor, is_edited=False)


@scenario(Scenario.EDITED)
async def test_a_job_is_seen_through_after_a_catalog_edit(front: Front, vendor: Vendor) -> None:
    try:
        await _resumed(front, vendor, is_edited=True)
    finally:
        await front.restart()


@scenario(Scenario.REFUSED)
async def test_its_policy_is_told_and_costs_nothing(front: Front, vendor: Vendor) -> None:
    jobs = vendor.jobs()
    vendor.next(Trouble.REFUSES)
    result = await front.make(front.request())
    result.check_one_end("failed")
    assert result.row["error_code"] == "content_policy_violation"
    assert vendor.jobs() <= jobs + 1, "a refusal is not asked for again"


@scenario(Scenario.RATE_LIMITED)
async def test_what_is_limited_is_asked_again_as_it_says(front: Front, vendor: Vendor) -> None:
    jobs = vendor.jobs()
    vendor.next(Trouble.RATE_LIMITS)
    result = await front.make(front.request())
    result.check_one_end("completed")
    assert (result.row["tries"], vendor.jobs()) == (1, jobs + 1)
    assert result.reports[0]["reason"] == "rate_limited"


@scenario(Scenario.EXHAUSTED)
async def test_a_429_for_good_is_not_asked_again(front: Front, vendor: Vendor) -> None:
    before = len(vendor.orders())
    vendor.next(Trouble.IS_EXHAUSTED)
    result = await front.make(front.request())
    result.check_one_end("failed")
    assert [report["reason"] for report in result.reports] == ["quota"]
    assert len(vendor.orders()) <= before + 1
    assert result.row["error_code"] == "generation_failed", "whose money it is, is not the client's to know"


@scenario(Scenario.TRANSIENT)
async def test_what_breaks_is_asked_again(front: Front, vendor: Vendor) -> None:
    jobs = vendor.jobs()
    vendor.next(Trouble.BREAKS)
    result = await front.make(front.request())
    result.check_one_end("completed")
    assert result.row["tries"] == 1
    assert result.reports[0]["reason"] == "transient"
    assert vendor.jobs() <= jobs + 2


@scenario(Scenario.LOST)
async def test_a_lost_answer_is_asked_about_and_never_ordered_again(front: Front, vendor: Vendor) -> None:
    backend = front.studio.parts.running.backends.open("vendor")
    jobs = vendor.jobs()
    vendor.next(Trouble.LOSES_ANSWER)
    owner = await front.studio.workspace()
    generation_id = await front.submit(owner, front.request())
    result = await front.until(generation_id, "unknown", "completed")
    is_repeatable = getattr(backend.provider, "repeatable", False)
    if result.state == "unknown" and (is_repeatable or isinstance(backend.provider, Findable)):
        await _looked_at_again(front, generation_id)
        result = await front.until(generation_id, "completed")
    if result.state == "completed":
        result.check_one_end("completed")
    else:
        assert result.entries == ["hold"], "its price stays held"
    assert jobs + 1 <= vendor.jobs() <= jobs + (2 if is_repeatable else 1)
    await asyncio.wait([front._making])
    await front.studio.rows("update generations set wake_at = now() + interval '1 hour' where id = %s", generation_id)


@scenario(Scenario.SIZED)
async def test_a_size_reaches_it_in_its_own_words(front: Front, vendor: Vendor) -> None:
    (await front.make(front.request(resolution="1K"))).check_one_end("completed")
    assert vendor.orders()[-1].size == vendor.size
    (await front.make(front.request(resolution="2K"))).check_one_end("completed")
    assert vendor.orders()[-1].size == (vendor.size_in_word or vendor.size_word)


@scenario(Scenario.REFERENCED)
async def test_references_reach_it(front: Front, vendor: Vendor) -> None:
    most = 1 if vendor.type is GenerationType.VIDEO else vendor.most_references
    for count in {1, most}:
        result = await front.make(front.request(references=count))
        result.check_one_end("completed")
        assert vendor.orders()[-1].references == count


@scenario(Scenario.ASKED)
async def test_what_a_request_may_ask_reaches_it(front: Front, vendor: Vendor) -> None:
    name, value = vendor.option
    seed = 7 if vendor.supports_seed else None
    negative = "fog" if vendor.supports_negative_prompt else None
    result = await front.make(front.request(seed=seed, negative_prompt=negative, provider_options={name: value}))
    result.check_one_end("completed")
    seen = vendor.orders()[-1]
    assert (seen.seed, seen.negative_prompt, seen.options.get(name)) == (seed, negative, value)
    assert result.row["seed"] == seed


@scenario(Scenario.COUNTED)
async def test_what_it_says_of_use_and_cost_is_on_record(front: Front, vendor: Vendor) -> None:
    result = await front.make(front.request())
    result.check_one_end("completed")
    assert result.row["cost_nanos"] == vendor.cost_nanos
    report = result.reports[-1]
    assert report["outcome"] == "completed"
    assert "usage" in report or "request_id" in report or "cost" in report, report


@scenario(Scenario.CHECKED)
async def test_it_can_be_looked_at_without_an_order(front: Front, vendor: Vendor) -> None:
    parts, before = front.studio.parts, len(vendor.orders())
    provider = parts.running.backends.open("vendor").provider
    assert isinstance(provider, Checkable)
    model = parts.running.catalog.models["model"]
    async with asyncio.timeout(10):
        good = await provider.check(model, model.bindings[0])
        wrong = msgspec.structs.replace(model.bindings[0], upstream_model="no-such-model")
        bad = await provider.check(model, wrong) if vendor.knows_models else good
    assert good and not [finding for finding in good if finding.level == "problem"], good
    if vendor.knows_models:
        problems = [finding for finding in bad if finding.level in ("problem", "warning")]
        assert problems and all(finding.remedy for finding in problems), bad
    assert len(vendor.orders()) == before, "nothing was ordered"
    assert CANARY not in repr((good, bad))


@scenario(Scenario.CALLED_BACK)
async def test_its_news_are_told_from_anybody_elses(front: Front, vendor: Vendor) -> None:
    (await front.make(front.request())).check_one_end("completed")
    path = urlsplit(vendor.orders()[-1].callback_url or "").path
    where, job_id = path.rpartition("/")[::2]
    assert where == "/v2/hints/vendor"
    provider = front.studio.parts.running.backends.open("vendor").provider
    assert isinstance(provider, Hintable)
    headers, body = vendor.callback()
    assert await provider.hint(Callback(job_id=job_id, headers=headers, body=body))
    assert not await provider.hint(Callback(job_id=job_id, headers=headers, body=b"[]"))
    if vendor.signs_callbacks:
        assert not await provider.hint(Callback(job_id=job_id, headers=headers, body=body + b" "))
        assert not await provider.hint(Callback(job_id=job_id, headers={}, body=body))


@scenario(Scenario.BATCHED)
async def test_two_jobs_are_asked_about_in_one_request(front: Front, vendor: Vendor) -> None:
    backend = front.studio.parts.running.backends.open("vendor")
    assert isinstance(backend.provider, BatchPollable)
    owner = await front.studio.workspace()
    vendor.hold()
    try:
        runs = []
        for _ in range(2):
            generation_id = await front.submit(owner, front.request())
            await front.until_taken(generation_id)
            runs.append((generation_id, front._making))
        asked = [await front.asked(generation_id) for generation_id, _ in runs]
        before = vendor.questions()
        outcomes = await backend.provider.poll_many(asked)
        assert [type(outcome) for outcome in outcomes] == [Pending, Pending]
        # The runs ask for themselves meanwhile: two jobs one by one would be two more.
        assert vendor.questions() - before <= 1 + len(runs)
    finally:
        vendor.release()
    for generation_id, making in runs:
        (await front.until(generation_id, "completed", "failed")).check_one_end("completed")
        await asyncio.wait([making])
    before = vendor.questions()
    ended = await backend.provider.poll_many([*asked, asked[0]])
    assert [type(outcome) for outcome in ended] == [Completed, Completed, Completed]
    assert vendor.questions() == before + 1


@scenario(Scenario.READDRESSED)
async def test_an_address_that_has_ended_is_exchanged(front: Front, vendor: Vendor) -> None:
    before = len(vendor.orders()), vendor.jobs()
    vendor.expire()
    (await front.make(front.request())).check_one_end("completed")
    assert vendor.has_expired(), "an address that was good no more was told"
    assert (len(vendor.orders()), vendor.jobs()) == (before[0] + 1, before[1] + 1), "nothing is made again for it"


async def test_the_key_is_in_nothing_that_is_kept_or_answered(front: Front, vendor: Vendor) -> None:
    """After all that the vendor was made to say; the log is looked at after each test (``conftest``)."""
    (await front.make(front.request())).check_one_end("completed")
    if vendor.quotes_key and not await front.was_quoted():  # this test stands alone, or before the others
        for lacked, trouble in _TROUBLES.items():
            if lacked not in vendor.lacks:
                vendor.next(trouble)
                await front.make(front.request())
    assert await front.was_quoted() == vendor.quotes_key, "the vendor said the key, and it was struck out"
    kept = [each async for each in front.everything_kept()]
    names = " ".join(name for name, _ in kept)
    assert "events" in names and "generations" in names and "answer of" in names and "file data/" in names
    for name, data in kept:
        for spelling in spellings_of_the_key():
            assert spelling not in data, name


@lacking(Scenario.BATCHED)
async def test_what_is_said_to_be_asked_singly_is(front: Front, vendor: Vendor) -> None:
    provider = front.studio.parts.running.backends.open("vendor").provider
    says_singly = vendor.lacks[Scenario.BATCHED] == "it is asked about one job at a time"
    assert not (says_singly and isinstance(provider, BatchPollable))


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()


async def _resumed(front: Front, vendor: Vendor, *, is_edited: bool) -> None:
    owner, before, jobs = await front.studio.workspace(), len(vendor.orders()), vendor.jobs()
    vendor.hold()
    try:
        generation_id = await front.submit(owner, front.request())
        await front.until_taken(generation_id)
        await front.restart(is_edited=is_edited)
        front.run(generation_id)
        await asyncio.sleep(0.3)
        assert (await front.result(generation_id)).row["finished_at"] is None, "it is under way still"
    finally:
        vendor.release()
    result = await front.until(generation_id, "completed", "failed", "canceled")
    result.check_one_end("completed")
    assert (result.row["connection"], result.row["tries"]) == ("vendor", 0), "the job itself, and no other's"
    assert (len(vendor.orders()), vendor.jobs()) == (before + 1, jobs + 1), "one order, and one job"
    await asyncio.wait([front._making])


async def _looked_at_again(front: Front, generation_id: str) -> None:
    await asyncio.wait([front._making])
    await front.studio.rows("update generations set wake_at = now() where id = %s", generation_id)
    front.run(generation_id)
    await asyncio.wait([front._making])


__all__ = [name for name in dir() if name.startswith("test_")]
