"""How often a connection is asked about jobs, who is asked about next, and how long a job is left alone: by counts."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.domain.connections import ConnectionLimits, NoOptions
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Accepted, FindOutcome, Found, Handle, Pending, PollOutcome, SubmitOutcome
from safelight.domain.ports import Asked, Backend, Job
from safelight.lifecycle.changes import Hinted
from safelight.lifecycle.polls import Polls, pause_seconds
from tests.lifecycle.virtual import in_virtual_time
from tests.support.jobs import a_job

JOBS = 2500
MINUTE = 60.0


class Vendor:
    """Notes each request, and the jobs that it was about."""

    def __init__(self, poll_after_seconds: float | None = 1.0) -> None:
        self.requests: list[tuple[float, list[int]]] = []
        self.poll_after_seconds = poll_after_seconds

    def _asked(self, jobs: list[int]) -> None:
        self.requests.append((asyncio.get_running_loop().time(), jobs))

    async def submit(self, order: object, attempt: object) -> SubmitOutcome:
        raise NotImplementedError

    async def close(self) -> None: ...

    async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome:
        self._asked([handle["job"]])
        return Pending(poll_after_seconds=self.poll_after_seconds)

    async def find(self, job: Job[Any]) -> FindOutcome:
        self._asked([-1])
        return Found(Accepted({"job": job.id}))

    @property
    def by_job(self) -> Counter[int]:
        return Counter(job for _, jobs in self.requests for job in jobs)


class BatchVendor(Vendor):
    """The same, for many jobs in one request. ``breaks``: what it does instead of answering."""

    poll_batch = 100

    def __init__(self, breaks: Exception | None = None, answers: int | None = None) -> None:
        super().__init__()
        self.breaks, self.answers = breaks, answers

    async def poll_many(self, asked: Sequence[Asked]) -> list[PollOutcome]:
        self._asked([each.handle["job"] for each in asked])
        await asyncio.sleep(0.5)
        if self.breaks is not None:
            raise self.breaks
        return [Pending(each.handle["job"] / JOBS) for each in asked][: self.answers]


def about(number: int) -> Asked:
    """One of the jobs, as a run asks about it."""
    return Asked({"job": number}, a_job(Path(), NoOptions(), id_=f"req-{number}", type_=GenerationType.VIDEO))


def backend(provider: Vendor, connection: str = "vendor", **limits: float) -> Backend:
    return Backend(connection=connection, provider=provider, options=NoOptions, **limits)


async def wait_for(polls: Polls, asked: Backend, workspace_id: int, job: int) -> None:
    """As a run does, for ever."""
    for count in range(1_000_000):
        outcome = await polls.poll(asked, workspace_id, about(job))
        assert isinstance(outcome, Pending)
        await asyncio.sleep(pause_seconds(outcome.poll_after_seconds, count))


async def under_way(seconds: float, *waits: tuple[Backend, int, int]) -> None:
    """So many jobs (backend, workspace, job) are waited for, for so long."""
    polls = Polls()
    tasks = [asyncio.create_task(wait_for(polls, *wait)) for wait in waits]
    await asyncio.sleep(seconds)
    for task in tasks:
        assert not task.done(), task
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("limits", "rate", "jobs"),
    [({}, 10, JOBS), ({"polls_per_second": 50.0}, 50, 200), ({"polls_per_second": 0.5}, 0.5, 9)],
)
def test_many_jobs_ask_no_oftener_than_the_limit(limits: dict[str, float], rate: float, jobs: int) -> None:
    vendor = Vendor()
    asked = backend(vendor, **limits)
    in_virtual_time(under_way(MINUTE, *((asked, 1, job) for job in range(jobs))))
    assert len(vendor.requests) == pytest.approx(MINUTE * rate, abs=2)
    moments = [moment for moment, _ in vendor.requests]
    assert all(later - earlier >= 0.999 / rate for earlier, later in itertools.pairwise(moments))
    counts = [vendor.by_job[job] for job in range(jobs)]
    assert max(counts) - min(counts) <= 2, "each job is asked about as often as any other, by a hair"


def test_one_request_asks_about_many_jobs_where_a_backend_can() -> None:
    vendor = BatchVendor()
    asked = backend(vendor)
    in_virtual_time(under_way(10, *((asked, 1, job) for job in range(JOBS))))
    assert len(vendor.requests) <= 10 * 10 + 1
    assert max(len(jobs) for _, jobs in vendor.requests) == 100
    assert min(vendor.by_job[job] for job in range(JOBS)) >= 2, "one by one it would be once in 250 s"


@pytest.mark.parametrize("vendor", [Vendor(), BatchVendor()], ids=["one by one", "in batches"])
def test_a_job_that_its_backend_tells_of_is_asked_about_before_the_others_of_its_workspace(vendor: Vendor) -> None:
    jobs, rate, at_once = 600, 0.5, getattr(vendor, "poll_batch", 1)

    async def ask() -> None:
        polls, asked = Polls(), backend(vendor, polls_per_second=rate)
        news = [Hinted() for _ in range(jobs)]
        news[500].set()  # before it stands in line
        tasks = [asyncio.create_task(polls.poll(asked, 1, about(job), news[job])) for job in range(jobs)]
        await asyncio.sleep(0.1)
        assert not news[500].is_set(), "what is told after the question is news again"
        for told in (300, 400, 0):
            news[told].set()
            news[told].set()
        await asyncio.sleep(4 / rate)
        assert all(tasks[job].done() for job in (0, 300, 400, 500))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not any(each.then for each in news), "who has left is called no more"
        news[7].set()

    in_virtual_time(ask())
    order = [job for _, asked_about in vendor.requests for job in asked_about]
    if at_once == 1:
        assert order == [500, 300, 400, 1, 0], "every fourth is one of the others"
    assert len(order) <= 5 * at_once


def test_those_of_whom_there_is_no_news_have_every_fourth_question() -> None:
    """However much a backend tells of others."""
    vendor = Vendor()

    async def ask() -> None:
        polls, asked = Polls(), backend(vendor, polls_per_second=1.0)
        news = [Hinted() for _ in range(40)]
        for told in news[:30]:
            told.set()
        tasks = [asyncio.create_task(polls.poll(asked, 1, about(job), news[job])) for job in range(40)]
        await asyncio.sleep(39.5)
        await asyncio.gather(*tasks)

    in_virtual_time(ask())
    order = [job for _, jobs in vendor.requests for job in jobs]
    assert [job for job in order if job < 30] == list(range(30)), "news in the order in which they came"
    assert [order.index(job) for job in range(30, 36)] == [3, 7, 11, 15, 19, 23]


def test_a_crowd_of_one_workspace_delays_another_by_one_place() -> None:
    vendor = Vendor()
    asked = backend(vendor)
    crowd = [(asked, 1, job) for job in range(JOBS)]
    in_virtual_time(under_way(MINUTE, *crowd, (asked, 2, 9999)))
    moments = [moment for moment, jobs in vendor.requests if jobs == [9999]]
    # It asks again after 1 to 1.25 s, and then waits for the request before it and its own.
    assert max(later - earlier for earlier, later in itertools.pairwise(moments)) <= 1.25 + 0.21
    assert vendor.by_job[0] >= 1


def test_a_loop_that_is_always_a_little_late_keeps_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor, on_time = Vendor(), asyncio.sleep

    async def late(seconds: float) -> None:
        await on_time(seconds + 0.01 if 0 < seconds < 1 else seconds)

    monkeypatch.setattr(asyncio, "sleep", late)
    asked = backend(vendor, polls_per_second=50.0)
    in_virtual_time(under_way(MINUTE, *((asked, 1, job) for job in range(JOBS))))
    moments = [moment for moment, _ in vendor.requests]
    assert len(moments) == pytest.approx(MINUTE * 50, rel=0.01), "not two thirds of it"
    assert max(Counter(int(moment) for moment in moments).values()) <= 51


def test_connections_have_a_pace_each() -> None:
    one, other = Vendor(), Vendor()
    waits = [(backend(vendor, name), 1, job) for vendor, name in ((one, "a"), (other, "b")) for job in range(100)]
    in_virtual_time(under_way(MINUTE, *waits))
    assert len(one.requests) == pytest.approx(600, abs=2) and len(other.requests) == pytest.approx(600, abs=2)


def test_looking_for_jobs_is_asking_too() -> None:
    vendor = BatchVendor()

    async def look() -> None:
        polls = Polls()
        found = await asyncio.gather(*(polls.find(backend(vendor), 1, about(n).job) for n in range(100)))
        assert found == [Found(Accepted({"job": f"req-{n}"})) for n in range(100)]
        assert asyncio.get_running_loop().time() >= 9.8

    in_virtual_time(look())
    assert len(vendor.requests) == 100


def test_answers_go_to_who_asked_and_who_left_is_not_asked_for() -> None:
    vendor = BatchVendor()

    async def ask() -> None:
        polls, asked = Polls(), backend(vendor)
        tasks = [asyncio.create_task(polls.poll(asked, job % 3, about(job))) for job in range(90)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks[1::2])
        assert [answer.progress for answer in answers if isinstance(answer, Pending)] == [
            job / JOBS for job in range(1, 90, 2)
        ]
        assert isinstance(await polls.poll(asked, 1, about(7)), Pending), "and the line goes on"

    in_virtual_time(ask())
    assert all(job % 2 for job in vendor.by_job)


@pytest.mark.parametrize(
    "vendor", [BatchVendor(breaks=OSError("gone")), BatchVendor(answers=3)], ids=["breaks", "short"]
)
def test_a_request_that_goes_wrong_is_told_to_all_it_was_for(vendor: BatchVendor) -> None:
    async def ask() -> None:
        polls, asked = Polls(), backend(vendor)
        for _ in range(2):
            calls = (polls.poll(asked, 1, about(job)) for job in range(50))
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(answer, OSError | ValueError) for answer in answers)

    in_virtual_time(ask())


def test_a_backend_that_does_not_answer_is_given_up_and_holds_up_nobody() -> None:
    class Silent(Vendor):
        async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome:
            if handle["job"] == 0:
                await asyncio.Event().wait()
            return await super().poll(handle, job)

    async def ask() -> None:
        polls, asked = Polls(), backend(Silent())
        silent = asyncio.create_task(polls.poll(asked, 1, about(0)))
        assert isinstance(await polls.poll(asked, 1, about(1)), Pending)
        with pytest.raises(TimeoutError):
            await silent

    in_virtual_time(ask())


def test_an_answer_that_has_the_clip_itself_may_take_minutes() -> None:
    class Slow(Vendor):
        async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome:
            await asyncio.sleep(9 * MINUTE)
            return await super().poll(handle, job)

    async def ask() -> None:
        assert isinstance(await Polls().poll(backend(Slow()), 1, about(0)), Pending)

    in_virtual_time(ask())


@pytest.mark.parametrize(
    ("asked_for", "least", "most"),
    [
        (0.0, 0.2, 0.25),
        (-5.0, 0.2, 0.25),
        (1e-9, 0.2, 0.25),
        (5.0, 5.0, 6.25),
        (1e9, 60.0, 75.0),
        (math.inf, 60.0, 75.0),
        (-math.inf, 0.2, 0.25),
        (None, 0.25, 0.75),
        (math.nan, 0.25, 0.75),
    ],
)
def test_what_a_backend_asks_for_is_kept_within_bounds_and_jittered(
    asked_for: float | None, least: float, most: float
) -> None:
    pauses = [pause_seconds(asked_for, 0) for _ in range(500)]
    assert least <= min(pauses) and max(pauses) <= most
    assert len({round(pause, 6) for pause in pauses}) > 100


def test_without_a_wish_a_job_is_asked_about_ever_more_seldom() -> None:
    assert max(pause_seconds(None, 0) for _ in range(100)) < min(pause_seconds(None, 3) for _ in range(100))
    assert min(pause_seconds(None, 10**6) for _ in range(100)) >= 2.5


def test_the_limit_is_of_the_catalog() -> None:
    assert ConnectionLimits().polls_per_second == 10
    for wrong in (0, -1, 1e9, "fast"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"polls_per_second": wrong}, ConnectionLimits)
