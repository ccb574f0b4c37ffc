"""Many tasks are asked about in one request, and none of them suffers for another."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.domain.outcomes import (
    Completed,
    Failed,
    Pending,
    Unknown,
)
from safelight.domain.ports import Asked
from tests.providers.ark.fake import FakeArk
from tests.providers.ark.faults import error
from tests.providers.ark.studio import FLEX, VIDEO, accepted, job_of, provider_of


async def test_one_request_asks_about_many(fake: FakeArk) -> None:
    async with provider_of(fake) as provider:
        asked = [await accepted(provider, id_=f"req-{number}") for number in range(provider.poll_batch)]
        fake.tasks[asked[1].handle["id"]]["status"] = "running"
        fake.tasks[asked[2].handle["id"]] |= {"status": "failed", **error("OutputVideoSensitiveContentDetected", "no")}
        outcomes = await provider.poll_many([*asked, asked[0]])
    assert [type(outcome) for outcome in outcomes[:3]] == [Pending, Completed, Failed]
    assert {type(outcome) for outcome in outcomes[3:]} == {Pending} and len(outcomes) == len(asked) + 1
    assert fake.questions == 1


async def test_each_tier_has_a_list_of_its_own(fake: FakeArk) -> None:
    async with provider_of(fake) as provider:
        asked = [await accepted(provider, id_="req-1"), await accepted(provider, id_="req-2", options=FLEX)]
        outcomes = await provider.poll_many(asked)
        assert [type(outcome) for outcome in outcomes] == [Pending, Pending] and fake.questions == 2
        asked.append(await accepted(provider, id_="req-3", options=FLEX))
        outcomes = await provider.poll_many(asked[1:])
        assert [type(outcome) for outcome in outcomes] == [Completed, Pending] and fake.questions == 3
        async with provider_of(fake) as another:  # after the binding was edited: the handle says which list it is
            edited = [Asked(each.handle, job_of(VIDEO, each.job.id)) for each in asked[1:]]
            outcomes = await another.poll_many(edited)
            assert [type(outcome) for outcome in outcomes] == [Completed, Completed] and fake.questions == 4


async def test_what_the_list_lacks_is_asked_for_singly(fake: FakeArk) -> None:
    async with provider_of(fake) as provider:
        asked = [await accepted(provider, id_=f"req-{number}") for number in range(3)]
        del fake.tasks[asked[1].handle["id"]]
        kinds = [[type(each) for each in await provider.poll_many(asked)] for _ in range(3)]
        assert fake.questions == 6
        fake.lists = False
        assert [type(each) for each in await provider.poll_many(asked)][::2] == [Completed, Completed]
    assert [each[1] for each in kinds] == [Unknown, Unknown, Failed]
    assert [each[0] for each in kinds] == [Pending, Completed, Completed], "nobody suffers for another"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [((429, error("RateLimitExceeded", "slow")), Pending), ((500, "<html></html>"), Unknown)],
)
async def test_a_list_that_is_not_told_ends_nothing(fake: FakeArk, answer: Any, kind: type) -> None:
    async with provider_of(fake) as provider:
        asked = [await accepted(provider, id_=f"req-{number}") for number in range(2)]
        fake.answers = [answer]
        assert [type(each) for each in await provider.poll_many(asked)] == [kind, kind]
        assert fake.questions == 1
        await fake.close()
        assert [type(each) for each in await provider.poll_many(asked)] == [Unknown, Unknown]


async def test_an_entry_of_a_list_that_leaves_out_the_clip_is_no_refusal(fake: FakeArk) -> None:
    async with provider_of(fake) as provider:
        asked = [await accepted(provider, id_=f"req-{number}") for number in range(3)]
        first, second, third = (each.handle["id"] for each in asked)
        fake.answers = [(200, {"items": [{"id": first, "status": "succeeded"}, {"id": second, "status": "failed"},
                                         {"id": third, "status": "cancelled"}]})]  # fmt: skip
        assert [type(each) for each in await provider.poll_many(asked)] == [Pending, Pending, Failed]
        assert fake.questions == 3


async def test_a_batch_asks_about_some_of_many_that_no_list_has(fake: FakeArk) -> None:
    """All of a batch has less than a minute, and one that runs over it is told of nobody."""
    fake.lists = False
    async with provider_of(fake) as provider:
        asked = [await accepted(provider, id_=f"req-{number}") for number in range(40)]
        answers = await provider.poll_many(asked)
        assert [isinstance(each, Unknown) for each in answers].count(True) == 16
        assert fake.questions == 1 + 24


@pytest.mark.parametrize("body", [{"items": None}, {"items": [None, 5, {"id": None}, {}]}, [], {}, "<html></html>"])
async def test_a_list_of_nonsense_is_a_list_that_lacks_them(fake: FakeArk, body: Any) -> None:
    async with provider_of(fake) as provider:
        asked = [await accepted(provider, id_=f"req-{number}") for number in range(2)]
        fake.answers = [(200, body)]
        assert [type(each) for each in await provider.poll_many(asked)] == [Pending, Pending]
        assert fake.questions == 3
