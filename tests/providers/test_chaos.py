"""The misbehaving backend itself: what it remembers, and that options are taken by their word."""

from __future__ import annotations

import asyncio
import collections
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    Found,
    InlineBytes,
    NeverTaken,
    Pending,
    Unknown,
)
from safelight.domain.ports import Asked, BatchPollable, Cancelable, Findable, Job, Pollable, Repeatable
from safelight.domain.request import Order
from safelight.media.blackout import is_blacked_out
from safelight.media.measure import measure
from safelight.node.killpoints import KILLPOINTS
from safelight.providers.chaos import Behaviour, BlindChaosProvider, ChaosProvider, Memory, Options
from tests.support.jobs import a_job, an_order


def order(id_: str = "req-1", type_: GenerationType = GenerationType.VIDEO) -> Order:
    return an_order(type_, id_)


def job(folder: Path, id_: str = "req-1", **options: object) -> Job[Options]:
    return a_job(folder, msgspec.convert(options, Options), id_=id_, type_=GenerationType.VIDEO)


def test_what_each_of_the_two_can_do(tmp_path: Path) -> None:
    seeing, blind = ChaosProvider(tmp_path), BlindChaosProvider(tmp_path)
    for provider in (seeing, blind):
        assert isinstance(provider, Pollable) and isinstance(provider, BatchPollable)
        assert not isinstance(provider, Repeatable), "each job would be paid"
    assert isinstance(seeing, Findable) and isinstance(seeing, Cancelable)
    assert not isinstance(blind, Findable) and not isinstance(blind, Cancelable)


@pytest.mark.parametrize("type_", GenerationType)
async def test_good_media_is_good_and_black_media_is_black(tmp_path: Path, type_: GenerationType) -> None:
    for behaviour, is_black in (("ok", False), ("refused_black", True)):
        outcome = await ChaosProvider(tmp_path).submit(order(type_=type_), job(tmp_path, behaviour=behaviour))
        assert isinstance(outcome, Completed) and isinstance(outcome.media[0], InlineBytes)
        path = tmp_path / behaviour
        path.write_bytes(outcome.media[0].data)
        assert (measure(path).width, measure(path).height) == (64, 64)
        assert is_blacked_out(path) is is_black


async def test_another_process_finds_what_this_one_took(tmp_path: Path) -> None:
    outcome = await ChaosProvider(tmp_path).submit(order(), job(tmp_path, behaviour="lost_answer"))
    assert isinstance(outcome, Unknown)
    later = ChaosProvider(tmp_path)
    found = await later.find(job(tmp_path))
    assert isinstance(found, Found) and isinstance(found.outcome, Accepted)
    assert isinstance(await later.poll(found.outcome.handle, job(tmp_path)), Completed | Pending)
    assert await later.find(job(tmp_path, "req-2")) == NeverTaken()
    memory = Memory(tmp_path)
    assert (memory.calls("req-1"), memory.taken("req-1"), memory.asked("req-1")) == (1, 1, 1)


async def test_it_declines_so_many_times(tmp_path: Path) -> None:
    provider = ChaosProvider(tmp_path)
    asked = job(tmp_path, behaviour="rate_limited", times=2, retry_after_seconds=7)
    for _ in range(2):
        outcome = await provider.submit(order(), asked)
        assert isinstance(outcome, Failed)
        assert (outcome.reason, outcome.retry_after_seconds) == (FailureClass.RATE_LIMITED, 7)
    assert isinstance(await provider.submit(order(), asked), Completed)
    assert (Memory(tmp_path).calls("req-1"), Memory(tmp_path).taken("req-1")) == (3, 1)


@pytest.mark.parametrize("cancels", [True, False])
async def test_it_stops_a_job_or_does_not(tmp_path: Path, cancels: bool) -> None:
    provider = ChaosProvider(tmp_path)
    outcome = await provider.submit(order(), job(tmp_path, behaviour="job", job_seconds=60, cancels=cancels))
    assert isinstance(outcome, Accepted)
    assert isinstance(await provider.poll(outcome.handle, job(tmp_path)), Pending)
    answered = await provider.cancel(outcome.handle, job(tmp_path))
    assert answered is (Cancellation.FREE if cancels else Cancellation.TOO_LATE)
    polled = await provider.poll(outcome.handle, job(tmp_path))
    assert isinstance(polled, Failed if cancels else Pending)


async def test_a_seed_draws_the_same_mix_each_time(tmp_path: Path) -> None:
    rates = {"refused": 0.5, "html": 0.25}

    async def drawn(seed: int) -> list[str]:
        provider = ChaosProvider(tmp_path / str(seed))
        options = job(tmp_path, seed=seed, rates=rates)
        outcomes = [await provider.submit(order(f"req-{n}"), options) for n in range(60)]
        return [repr(outcome)[:40] for outcome in outcomes]

    first = await drawn(1)
    assert first == await drawn(1)
    assert first != await drawn(2)
    kinds = collections.Counter(first)
    assert len(kinds) == 3 and min(kinds.values()) > 5


async def test_options_are_checked(tmp_path: Path) -> None:
    for options in ({"behaviour": "nonsense"}, {"unknown": 1}):
        with pytest.raises(msgspec.ValidationError):
            await ChaosProvider(tmp_path).submit(order(), job(tmp_path, **options))
    assert Behaviour("poison") and Behaviour("crash")


ORDER = """
import asyncio, sys
from pathlib import Path
from tests.providers.test_chaos import ChaosProvider, job, order
folder = Path(sys.argv[1])
asyncio.run(ChaosProvider(folder).submit(order(), job(folder, behaviour="lost_answer")))
"""


@pytest.mark.parametrize(("point", "taken"), [("chaos-before-record", 0), ("chaos-after-record", 1)])
async def test_a_backend_that_is_killed_as_it_takes_an_order_took_it_or_did_not(
    tmp_path: Path, point: str, taken: int
) -> None:
    """What it would bill is what it finds: an order that is given again as it was not found is not counted twice."""
    assert point in KILLPOINTS
    root = Path(__file__).parents[2]
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", ORDER, tmp_path],
        cwd=root,
        env={**os.environ, "SAFELIGHT_KILLPOINT": point},
    )
    assert died.returncode == -signal.SIGKILL
    memory, provider = Memory(tmp_path), ChaosProvider(tmp_path)
    assert memory.taken("req-1") == taken
    found = await provider.find(job(tmp_path))
    assert isinstance(found, Found) == bool(taken)
    if found == NeverTaken():
        await provider.submit(order(), job(tmp_path, behaviour="lost_answer"))
    assert memory.taken("req-1") == 1


async def test_each_order_is_counted_and_found_by_its_own_id(tmp_path: Path) -> None:
    provider, memory = ChaosProvider(tmp_path), Memory(tmp_path)
    options = {"behaviour": "fails_later", "times": 1, "job_seconds": 0, "retry_after_seconds": 3}
    first = await provider.submit(order(), job(tmp_path, **options))
    assert isinstance(first, Accepted)
    failed = await provider.poll(first.handle, job(tmp_path))
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.retry_after_seconds) == (FailureClass.TRANSIENT, 3)
    assert await provider.find(job(tmp_path, "req-1.1")) == NeverTaken(), "the second order was not given yet"
    second = await provider.submit(order(), job(tmp_path, "req-1.1", **options))
    assert isinstance(second, Accepted) and second != first
    assert await provider.find(job(tmp_path, "req-1.1")) == Found(second)
    assert await provider.find(job(tmp_path)) == Found(first)
    answers = await provider.poll_many([Asked(each.handle, job(tmp_path)) for each in (first, second)])
    assert [type(answer) for answer in answers] == [Failed, Completed]
    assert (memory.calls("req-1"), memory.taken("req-1")) == (2, 2)


async def test_orders_that_come_at_once_are_all_counted(tmp_path: Path) -> None:
    provider = ChaosProvider(tmp_path)
    asked = job(tmp_path, behaviour="job", job_seconds=60)
    outcomes = await asyncio.gather(*(provider.submit(order(), asked) for _ in range(20)))
    handles = [outcome.handle["job"] for outcome in outcomes if isinstance(outcome, Accepted)]
    assert sorted(handles) == list(range(1, 21))
    assert Memory(tmp_path).taken("req-1") == 20


async def test_a_job_has_one_end(tmp_path: Path) -> None:
    """Canceled or over: whichever was first, whoever asks."""
    provider, memory = ChaosProvider(tmp_path), Memory(tmp_path)
    outcome = await provider.submit(order(), job(tmp_path, behaviour="job", job_seconds=60, cancels=True))
    assert isinstance(outcome, Accepted)
    taken = memory.job("req-1")
    assert taken is not None
    ends = {await asyncio.to_thread(memory.end, taken, how) for how in ("over", "canceled", "over")}
    assert ends == {"over"}
    assert await provider.cancel(outcome.handle, job(tmp_path)) is Cancellation.TOO_LATE
