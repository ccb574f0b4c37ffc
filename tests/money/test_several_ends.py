"""How several generations of one request end: each charged by itself, none seen before all can be answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest

from safelight.domain.errors import (
    GenerationUnknown,
    ImageGoesOn,
)
from safelight.domain.outcomes import Completed, Failed, FailureClass, InlineBytes, SubmitOutcome
from safelight.domain.ports import Backend, Job
from safelight.domain.request import Order
from safelight.lifecycle import make
from safelight.lifecycle.make import Made, note_all_seen, outcomes, start
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.submit import Submission, submit_all
from safelight.providers.noop import Options, png
from tests.money.several import COUNT, PATIENCE_SECONDS, PRICE, House, asked


class Painter:
    """A backend that makes of each order what is told for it in turn: at once, or once it may."""

    is_sizeless = True
    is_algorithmic = True
    repeatable = True

    def __init__(self, *failing: FailureClass | None) -> None:
        self.answers = list(failing)
        self.orders: list[str] = []
        self.held: dict[int, asyncio.Event] = {}

    async def submit(self, order: Order, job: Job[Any]) -> SubmitOutcome:
        place = len(self.orders)
        self.orders.append(job.generation_id)
        if place in self.held:
            await self.held[place].wait()
        reason = self.answers[place] if place < len(self.answers) else None
        return Completed((InlineBytes(png()),)) if reason is None else Failed(reason)

    async def close(self) -> None: ...

    def open(self, connection: str) -> Backend:
        return Backend(connection=connection, provider=self, options=Options)  # type: ignore[arg-type]


class Server:
    """A request of a client, as the API answers it."""

    def __init__(self, house: House, painter: Painter) -> None:
        self.house, self.painter = house, painter
        self.runner = Runner(msgspec.structs.replace(house.parts.running, backends=painter))  # type: ignore[arg-type]

    async def answer(self, submission: Submission, *, has_left: Callable[[], bool] = lambda: False) -> list[Made]:
        parts = self.house.parts
        accepted = await submit_all(parts.submitting, submission, COUNT)
        started = [start(self.runner, each) for each in accepted]
        made = await outcomes(parts.submitting, parts.viewing, self.runner, submission, started, has_left=has_left)
        if not has_left():
            await note_all_seen(parts.viewing, made)
        return made


Serve = Callable[[Painter], Server]


@pytest.fixture
async def serve(house: House) -> AsyncIterator[Serve]:
    made: list[Server] = []

    def serve(painter: Painter) -> Server:
        made.append(Server(house, painter))
        return made[-1]

    yield serve
    for each in made:
        await each.runner.close(0)


def ids(made: Sequence[Made]) -> list[str]:
    return [each.view.id for each in made]


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("reason", [FailureClass.PERMANENT, FailureClass.CONTENT_POLICY])
@pytest.mark.parametrize("failing", [0, 2])
async def test_of_four_one_comes_to_nothing(
    house: House, serve: Serve, key: str | None, reason: FailureClass, failing: int
) -> None:
    """The others are charged, and seen. Under a key a repeat gets those again, and anew what failed through us."""
    customer, sender = await house.sender()
    submission = asked(sender, idempotency_key=key)
    server = serve(Painter(*[reason if place == failing else None for place in range(COUNT)]))
    made = await server.answer(submission)
    failed = [place for place, each in enumerate(made) if each.error is not None]
    assert len(failed) == 1
    account = await house.shop.account(customer)
    assert (account.ledger_revenue_nanos, account.held_nanos) == (3 * PRICE, 0)
    assert await house.unseen(customer) == 0
    is_ours = reason is FailureClass.PERMANENT
    final = [each.is_final for each in made]
    assert final == [key is not None and not (is_ours and place in failed) for place in range(COUNT)]
    again = await server.answer(msgspec.structs.replace(submission, retry_count=1))
    if key is None:  # they were answered
        assert not set(ids(made)) & set(ids(again))
        return
    assert [was == now for was, now in zip(ids(made), ids(again), strict=True)] == [
        not (is_ours and place in failed) for place in range(COUNT)
    ]
    account = await house.shop.account(customer)
    assert account.ledger_revenue_nanos == (4 if is_ours else 3) * PRICE


async def test_one_that_takes_longer_is_waited_for_and_nothing_is_seen_before(house: House, serve: Serve) -> None:
    customer, sender = await house.sender()
    painter = Painter()
    painter.held[COUNT - 1] = asyncio.Event()
    answering = asyncio.create_task(serve(painter).answer(asked(sender)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await house.states(customer)).count("completed") < 3:
            await asyncio.sleep(0.02)
    assert not answering.done()
    assert await house.unseen(customer) == 3
    painter.held[COUNT - 1].set()
    assert all(each.error is None for each in await answering)
    assert await house.unseen(customer) == 0


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("is_late", [False, True], ids=["while they are made", "once three are made"])
async def test_a_client_that_leaves_and_repeats_gets_the_same(
    house: House, serve: Serve, key: str | None, is_late: bool
) -> None:
    customer, sender = await house.sender()
    painter = Painter()
    painter.held = {place: asyncio.Event() for place in range(3 if is_late else 0, COUNT)}
    server, left = serve(painter), asyncio.Event()
    submission = asked(sender, idempotency_key=key)
    answering = asyncio.create_task(server.answer(submission, has_left=left.is_set))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(painter.orders) < COUNT or (await house.states(customer)).count("completed") < 3 * is_late:
            await asyncio.sleep(0.02)
    left.set()
    with pytest.raises(GenerationUnknown):
        await answering
    repeating = asyncio.create_task(server.answer(msgspec.structs.replace(submission, retry_count=1)))
    await asyncio.sleep(0.05)
    for event in painter.held.values():
        event.set()
    made = await repeating
    assert sorted(ids(made)) == sorted(painter.orders), "each was ordered once"
    assert all(each.accepted.is_replay for each in made)
    account = await house.shop.settled(customer)
    assert (account.ledger_revenue_nanos, await house.shop.count(customer)) == (COUNT * PRICE, COUNT)
    if key is None:
        another = await server.answer(msgspec.structs.replace(submission, retry_count=1))
        assert not set(ids(another)) & set(ids(made)), "what was answered is not given again"


async def test_a_client_that_leaves_at_the_last_moment_has_seen_none(
    house: House, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, sender = await house.sender()
    left = asyncio.Event()
    told = make.view_of_completed
    views: list[object] = []

    def leaving(*args: Any) -> Any:
        views.append(args)
        if len(views) == COUNT:
            left.set()
        return told(*args)

    monkeypatch.setattr(make, "view_of_completed", leaving)
    submission = asked(sender)
    server = serve(Painter())
    made = await server.answer(submission, has_left=left.is_set)
    assert await house.unseen(customer) == COUNT
    monkeypatch.undo()
    again = await server.answer(msgspec.structs.replace(submission, retry_count=2))
    assert ids(again) == ids(made)
    assert await house.unseen(customer) == 0


async def test_a_server_that_stops_hands_on_what_is_not_made(house: House, serve: Serve) -> None:
    """Of four, two are made; the others are made by whoever comes, and the repeat gets all four."""
    customer, sender = await house.sender()
    painter = Painter()
    painter.held = {place: asyncio.Event() for place in (2, 3)}
    server = serve(painter)
    submission = asked(sender)
    answering = asyncio.create_task(server.answer(submission))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await house.states(customer)).count("completed") < 2 or len(painter.orders) < COUNT:
            await asyncio.sleep(0.02)
    await server.runner.close(0)
    with pytest.raises(ImageGoesOn):
        await answering
    account = await house.shop.account(customer)
    assert (account.ledger_revenue_nanos, account.held_nanos, account.in_flight) == (2 * PRICE, 2 * PRICE, 2)
    successor = serve(Painter())
    repeating = asyncio.create_task(successor.answer(msgspec.structs.replace(submission, retry_count=1)))
    waiting = await house.shop.query(
        "select id from generations where workspace_id = %s and finished_at is null", customer.id
    )
    await asyncio.gather(*(successor.runner.claim_and_run(id_) for (id_,) in waiting))
    made = await repeating
    assert all(each.error is None and each.accepted.is_replay for each in made)
    account = await house.shop.settled(customer)
    assert (account.ledger_revenue_nanos, await house.shop.count(customer)) == (COUNT * PRICE, COUNT)


async def test_one_that_another_runner_took_over_is_waited_for(house: House, serve: Serve) -> None:
    customer, sender = await house.sender()
    painter = Painter()
    painter.held = {0: asyncio.Event()}
    server = serve(painter)
    answering = asyncio.create_task(server.answer(asked(sender)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await house.states(customer)).count("completed") < 3:
            await asyncio.sleep(0.02)
    slow = painter.orders[0]
    await house.shop.query("update generations set lease_until = now() - interval '1 s' where id = %s", slow)
    other = serve(Painter())
    await other.runner.claim_and_run(slow)
    painter.held[0].set()
    made = await answering
    assert all(each.error is None for each in made)
    account = await house.shop.settled(customer)
    assert account.ledger_revenue_nanos == COUNT * PRICE
    assert await house.unseen(customer) == 0
