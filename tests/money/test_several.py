"""Several generations of one request: accepted all or none, repeated as one, and each of them charged by itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.accounts.books import check_books
from safelight.accounts.keys import Authenticator
from safelight.domain.errors import (
    GenerationUnknown,
    IdempotencyConflict,
    ImageGoesOn,
    InvalidParameter,
    QuotaExceeded,
    RateLimited,
    ServiceUnavailable,
)
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.money import format_usd, parse_usd
from safelight.domain.outcomes import Completed, Failed, FailureClass, InlineBytes, SubmitOutcome
from safelight.domain.ports import Backend, Job
from safelight.domain.request import ImageInput, Order, Request
from safelight.domain.scope import OPERATOR, Principal
from safelight.lifecycle import accept as accept_module
from safelight.lifecycle import make
from safelight.lifecycle import submit as submit_module
from safelight.lifecycle.make import Made, outcomes
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.submit import Submission, key_use, submit_all
from safelight.providers.noop import Options, png
from safelight.wiring import Parts
from tests.money.shop import Shop, parts_in
from tests.references import files
from tests.support.postgres import TestDatabases
from tests.support.server import open_folder
from tests.support.tenants import Tenant

pytestmark = pytest.mark.database

PRICE = parse_usd("0.05")
PICTURE = ImageInput(url="data:image/png;base64," + base64.b64encode(files.png()).decode())
PATIENCE_SECONDS = 60
COUNT = 4


class House:
    """Two processes' parts on one database, and what is to be seen there."""

    def __init__(self, both: Sequence[Parts]) -> None:
        self.both = both
        self.parts = both[0]
        self.shop = Shop(self.parts.db)

    async def sender(self, usd: str = "10", *, spend_cap: str | None = None, **limits: int) -> tuple[Tenant, Principal]:
        customer = await self.shop.customer(usd, spend_cap=spend_cap, **limits)
        return customer, await Authenticator(self.parts.db).authenticate(f"Bearer {customer.key}")

    async def everything(self, customer: Tenant) -> dict[str, Any]:
        """Whatever an acceptance moves."""
        await self.shop.account(customer)  # which compares it with the ledger
        ((account,),) = await self.shop.query("select to_jsonb(a) from accounts a where workspace_id = %s", customer.id)
        ((spent,),) = await self.shop.query("select spent_nanos from api_keys where id = %s", customer.key_id)
        counts = {
            table: await self.shop.count(customer, table) for table in ("generations", "transfers", "idempotency_keys")
        }
        ((jobs,),) = await self.shop.query("select count(*) from procrastinate_jobs")
        inputs = sorted([facts.key async for facts in self.parts.keeping.store.walk("inputs")])
        return {**account, **counts, "spent": spent, "jobs": jobs, "inputs": inputs}

    async def states(self, customer: Tenant) -> list[str]:
        rows = await self.shop.query("select state::text from generations where workspace_id = %s", customer.id)
        return sorted(state for (state,) in rows)

    async def unseen(self, customer: Tenant) -> int:
        query = "select count(*) from generations where workspace_id = %s and unseen and state = 'completed'"
        return int((await self.shop.query(query, customer.id))[0][0])


@pytest.fixture(scope="module")
async def house(databases: TestDatabases) -> AsyncIterator[House]:
    url = databases.create()
    with open_folder() as folder:
        async with parts_in(folder / "data", url) as one, parts_in(folder / "data", url) as two:
            yield House([one, two])
            books = await check_books(OPERATOR, one.db)
            assert books.balances, books


def asked(
    sender: Principal, body: bytes | None = None, *, type_: GenerationType = GenerationType.IMAGE, **more: Any
) -> Submission:
    images = more.pop("images", ())
    model = "still" if type_ is GenerationType.IMAGE else "clip"
    duration = 5 if type_ is GenerationType.VIDEO else None
    return Submission(
        principal=sender,
        request=Request(type=type_, model=model, prompt="a hill", images=images, duration=duration),
        body_sha256=hashlib.sha256(body or secrets.token_bytes(8)).digest(),
        **more,
    )


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


# How they end


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
        return await outcomes(parts.submitting, parts.viewing, self.runner, submission, accepted, has_left=has_left)


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
