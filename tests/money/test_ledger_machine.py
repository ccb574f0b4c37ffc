"""A state machine over the ledger, through the real functions on the real database.

What is expected is computed here, in a few integers; after every step the account, its postings, the rows under way
and the daily costs must all say the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from safelight.accounts.books import check_books
from safelight.accounts.credit import add_credit
from safelight.accounts.keys import Authenticator
from safelight.domain.catalog import Catalog, Model
from safelight.domain.errors import (
    GenerationFailed,
    IdempotencyConflict,
    InvalidParameter,
    QuotaExceeded,
    RateLimited,
    SafelightError,
)
from safelight.domain.generations import GenerationType, State
from safelight.domain.media import MediaFacts
from safelight.domain.money import NANOS_PER_USD
from safelight.domain.request import Request
from safelight.domain.scope import OPERATOR, Principal
from safelight.lifecycle import settle
from safelight.lifecycle.cancel import Cancellation, cancel
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.run import claim
from safelight.lifecycle.settle import StoredFile
from safelight.lifecycle.submit import Submission, submit
from safelight.lifecycle.views import view
from safelight.wiring import Parts
from tests.money.shop import Shop, parts_in
from tests.support.tenants import Tenant

pytestmark = pytest.mark.database

T = TypeVar("T")

CONCURRENCY = 5
CAP_NANOS = 2 * NANOS_PER_USD
CHOICES = st.integers(min_value=0, max_value=59)
MICROS = st.integers(min_value=0, max_value=400_000).map(lambda micros: micros * 1000)


class World(msgspec.Struct):
    """What all examples share."""

    runner: asyncio.Runner
    parts: Parts

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())


class Made(msgspec.Struct, kw_only=True):
    """A generation as it should stand. ``live`` is the claim that may write; ``stale`` are those that may not."""

    id: str
    type: GenerationType
    key: str
    body: bytes
    held_nanos: int
    unit_price_nanos: int
    quantity: int
    live: Claim | None
    stale: list[Claim]
    state: State
    end_user: str | None = None
    unseen: bool = False
    charged_nanos: int = 0

    @property
    def is_final(self) -> bool:
        return self.state.is_final


class Ledger(RuleBasedStateMachine):
    """Everything that moves money in one workspace, in any order."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.parts = self.world.parts
        shop = Shop(self.parts.db)
        self.shop = shop
        self.customer: Tenant = self.run(shop.customer("0", concurrency=CONCURRENCY))
        capped = self.run(shop.sibling(self.customer, spend_cap="2"))
        self.principals = {"open": self.principal(self.customer.key), "capped": self.principal(capped.key)}
        self.funded = self.available = self.spent_by_capped = 0
        self.made: list[Made] = []
        self.idempotency: dict[str, Made] = {}

    def run(self, work: Awaitable[T]) -> T:
        return self.world.run(work)

    def principal(self, secret: str) -> Principal:
        return self.run(Authenticator(self.parts.db).authenticate(f"Bearer {secret}"))

    # Credit

    async def credit(self, nanos: int, reason: str) -> int:
        return await add_credit(OPERATOR, self.parts.db, to=self.customer.scope, amount_nanos=nanos, reason=reason)

    @initialize(nanos=st.integers(min_value=5 * NANOS_PER_USD, max_value=30 * NANOS_PER_USD))
    def begin(self, nanos: int) -> None:
        """With credit, and something under way: most rules need both."""
        self.top_up(nanos)
        for type_, key in ((GenerationType.VIDEO, "open"), (GenerationType.IMAGE, "capped")):
            self.submit(type_, key, "a", 5, None, 0)

    @rule(nanos=st.integers(min_value=1, max_value=3 * NANOS_PER_USD))
    def top_up(self, nanos: int) -> None:
        self.available += nanos
        self.funded += nanos
        assert self.run(self.credit(nanos, "top-up")) == self.available

    @rule(nanos=st.integers(min_value=1, max_value=3 * NANOS_PER_USD) | st.sampled_from([2**15, 2**31, 2**63 - 1]))
    def take_back(self, nanos: int) -> None:
        taking = self.credit(-nanos, "take-back")
        if nanos > self.available:
            with pytest.raises(InvalidParameter, match="cannot go below zero"):
                self.run(taking)
            return
        self.available -= nanos
        self.funded -= nanos
        assert self.run(taking) == self.available

    # Prices

    @rule(nanos=MICROS)
    def change_prices(self, nanos: int) -> None:
        """What was accepted before keeps its price."""

        def repriced(model: Model) -> Model:
            rates = tuple(msgspec.structs.replace(rate, unit_price_nanos=nanos) for rate in model.rates)
            return msgspec.structs.replace(model, rates=rates)

        models = {name: repriced(model) for name, model in self.parts.submitting.catalog.models.items()}
        submitting = msgspec.structs.replace(self.parts.submitting, catalog=Catalog(models, {}))
        self.parts = msgspec.structs.replace(self.parts, submitting=submitting)

    # Submission

    @rule(
        type_=st.sampled_from(GenerationType),
        key=st.sampled_from(["open", "capped"]),
        prompt=st.sampled_from(["a", "b"]),
        duration=st.sampled_from([5, 10]),
        idempotency_key=st.sampled_from([None, None, "k1", "k2", "k3"]),
        retry_count=st.sampled_from([0, 0, 1]),
        end_user=st.sampled_from([None, "ann", "ben"]),
    )
    def submit(
        self,
        type_: GenerationType,
        key: str,
        prompt: str,
        duration: int,
        idempotency_key: str | None,
        retry_count: int,
        end_user: str | None = "ann",
    ) -> None:
        is_video = type_ is GenerationType.VIDEO
        request = Request(
            type=type_,
            model="clip" if is_video else "still",
            prompt=prompt,
            duration=duration if is_video else None,
        )
        body = msgspec.json.encode(request).ljust(32, b" ")[-32:]
        submission = Submission(
            principal=self.principals[key],
            request=request,
            body_sha256=body,
            idempotency_key=idempotency_key,
            retry_count=retry_count,
            end_user=end_user,
        )
        unit_price = self.parts.submitting.catalog.models[request.model].rates[0].unit_price_nanos
        quantity = duration if is_video else 1
        try:
            earlier, refusal = self.expected(key, body, idempotency_key, retry_count, unit_price * quantity)
        except IdempotencyConflict:
            with pytest.raises(IdempotencyConflict):
                self.run(submit(self.parts.submitting, submission))
            return
        if refusal is not None:
            with pytest.raises(refusal):
                self.run(submit(self.parts.submitting, submission))
            return
        accepted = self.run(submit(self.parts.submitting, submission))
        if earlier is not None:
            assert (accepted.id, accepted.is_replay, accepted.claim) == (earlier.id, True, None)
            return
        assert not accepted.is_replay
        assert (accepted.claim is None) == is_video
        made = Made(
            id=accepted.id,
            type=type_,
            key=key,
            body=body,
            held_nanos=unit_price * quantity,
            unit_price_nanos=unit_price,
            quantity=quantity,
            live=accepted.claim,
            stale=[],
            state=State.QUEUED if is_video else State.RUNNING,
            end_user=end_user,
            unseen=is_video,  # until somebody asks about it
        )
        self.available -= made.held_nanos
        if key == "capped":
            self.spent_by_capped += made.held_nanos
        self.made.append(made)
        if idempotency_key is not None:
            self.idempotency[idempotency_key] = made

    def expected(
        self, key: str, body: bytes, idempotency_key: str | None, retry_count: int, price: int
    ) -> tuple[Made | None, type[SafelightError] | None]:
        """The earlier attempt that answers, or the refusal; neither: a new generation."""
        if idempotency_key is not None:
            if used := self.idempotency.get(idempotency_key):
                if used.body != body:
                    raise IdempotencyConflict
                return used, None
        elif retry_count:
            for made in reversed(self.made):
                is_open = not made.is_final or (made.unseen and made.state is State.COMPLETED)
                if made.key == key and made.body == body and is_open:
                    return made, None
        if len(self.under_way) >= CONCURRENCY:
            return None, RateLimited
        if self.available < price or (key == "capped" and self.spent_by_capped + price > CAP_NANOS):
            return None, QuotaExceeded
        return None, None

    @property
    def under_way(self) -> list[Made]:
        return [made for made in self.made if not made.is_final]

    def pick(self, choice: int, wanted: Callable[[Made], bool]) -> Made | None:
        """One of those that fit. What is drawn must not hang on what there is: races end in more than one way."""
        fitting = [made for made in self.made if wanted(made)]
        return fitting[choice % len(fitting)] if fitting else None

    # Runners

    @rule(choice=CHOICES)
    def claim(self, choice: int) -> None:
        """One that has a live runner is not to be had."""
        made = self.pick(choice, lambda made: not made.is_final)
        if made is None:
            return
        claimed = self.run(claim(self.parts.running, made.id))
        assert (claimed is None) == (made.live is not None)
        if claimed is not None:
            assert claimed.price.unit_price_nanos == made.unit_price_nanos
            made.live, made.state = claimed, State.RUNNING

    @rule(choice=CHOICES)
    def lose_the_runner(self, choice: int) -> None:
        """Its lease runs out, and another takes over; the first one does not know."""
        made = self.pick(choice, lambda made: made.live is not None)
        if made is None or made.live is None:
            return
        self.run(self.shop.query("update generations set lease_until = now() - interval '1 s' where id = %s", made.id))
        made.stale.append(made.live)
        made.live = self.run(claim(self.parts.running, made.id))
        assert made.live is not None

    # Ends

    @rule(choice=CHOICES, thousandths=st.integers(min_value=0, max_value=12_000), unseen=st.booleans())
    def complete(self, choice: int, thousandths: int, unseen: bool) -> None:
        """With a delivery that is shorter than, equal to or longer than what was ordered."""
        made = self.pick(choice, lambda made: made.live is not None)
        if made is None or made.live is None:
            return
        files = delivery(made, thousandths)
        settled = self.run(settle.complete(self.parts.db, made.live, files, unseen=unseen))
        assert settled is not None
        self.expect_completed(made, thousandths, unseen)
        assert settled.charged_nanos == made.charged_nanos

    def expect_completed(self, made: Made, thousandths: int, unseen: bool) -> None:
        charged = min(1000 if made.type is GenerationType.IMAGE else thousandths, made.quantity * 1000)
        self.expect_end(made, State.COMPLETED, made.unit_price_nanos * charged // 1000)
        made.unseen = made.unseen or (unseen and made.type is GenerationType.IMAGE)

    def expect_end(self, made: Made, state: State, charged_nanos: int) -> None:
        made.state, made.charged_nanos = state, charged_nanos
        self.available += made.held_nanos - charged_nanos
        if made.key == "capped":
            self.spent_by_capped -= made.held_nanos - charged_nanos
        if made.live is not None:
            made.stale.append(made.live)
            made.live = None
        if state is State.FAILED:  # it was ours, and uses up no key
            self.idempotency = {key: used for key, used in self.idempotency.items() if used is not made}

    @rule(choice=CHOICES)
    def fail(self, choice: int) -> None:
        made = self.pick(choice, lambda made: made.live is not None)
        if made is None or made.live is None:
            return
        assert self.run(settle.fail(self.parts.db, made.live, GenerationFailed())) is not None
        self.expect_end(made, State.FAILED, 0)

    @rule(choice=CHOICES)
    def cancel_what_waits(self, choice: int) -> None:
        made = self.pick(choice, lambda made: made.state is State.QUEUED)
        if made is None:
            return
        became, _ = self.run(cancel(self.parts.running, self.parts.viewing, self.customer.id, made.id, made.type))
        assert became is Cancellation.CANCELED
        self.expect_end(made, State.CANCELED, 0)

    @rule(choice=CHOICES, completes=st.booleans())
    def end_with_a_stale_token(self, choice: int, completes: bool) -> None:
        """A runner that was presumed dead comes back: it changes nothing."""
        made = self.pick(choice, lambda made: bool(made.stale))
        if made is None:
            return
        stale = made.stale[choice % len(made.stale)]
        if completes:
            ended = settle.complete(self.parts.db, stale, delivery(made, 5000))
        else:
            ended = settle.fail(self.parts.db, stale, GenerationFailed())
        assert self.run(ended) is None

    @rule(choice=CHOICES, thousandths=st.integers(min_value=0, max_value=12_000))
    def end_at_the_same_time(self, choice: int, thousandths: int) -> None:
        """Of all that try at once, one ends it, and never one whose token is stale."""
        made = self.pick(choice, lambda made: made.live is not None)
        if made is None or made.live is None:
            return
        live, files = made.live, delivery(made, thousandths)
        stale = [settle.complete(self.parts.db, claim, files) for claim in made.stale[-2:]]

        async def race() -> list[Any]:
            return await asyncio.gather(
                settle.complete(self.parts.db, live, files),
                settle.fail(self.parts.db, live, GenerationFailed()),
                *stale,
            )

        completed, failed, *late = self.run(race())
        assert (completed is None) != (failed is None)
        assert late == [None] * len(stale)
        if completed is not None:
            self.expect_completed(made, thousandths, unseen=False)
        else:
            self.expect_end(made, State.FAILED, 0)

    # What always holds

    @invariant()
    def the_account_is_what_it_must_be(self) -> None:
        account = self.run(self.shop.account(self.customer))  # which compares it with the ledger
        held = sum(made.held_nanos for made in self.under_way)
        charged = sum(made.charged_nanos for made in self.made)
        assert account.available_nanos == self.available
        assert account.held_nanos == held
        assert account.in_flight == len(self.under_way)
        assert account.ledger_revenue_nanos == account.daily_costs_nanos == charged
        assert self.funded == self.available + held + charged

    @invariant()
    def the_rows_are_as_they_were_left(self) -> None:
        rows = self.run(
            self.shop.query(
                """select id, state::text, charged_nanos from generations where workspace_id = %s
                   union all select 'spent', null, spent_nanos from api_keys where id = %s""",
                self.customer.id,
                self.principals["capped"].key_id,
            )
        )
        expected = {made.id: (str(made.state), made.charged_nanos if made.is_final else None) for made in self.made}
        expected["spent"] = (None, self.spent_by_capped)
        assert {id_: (state, amount) for id_, state, amount in rows} == expected
        assert self.spent_by_capped <= CAP_NANOS

    def check_what_end_users_were_charged(self) -> None:
        """Each name has one hash, under which is all that was made for it, and nothing else."""
        rows = self.run(
            self.shop.query(
                """select end_user, sum(completed)::int, sum(failed)::int, sum(cost_nanos)::bigint from daily_end_users
                   where workspace_id = %s group by 1""",
                self.customer.id,
            )
        )
        ended = [made for made in self.made if made.is_final and made.end_user is not None]
        expected = []
        for name in {made.end_user for made in ended}:
            its = [made for made in ended if made.end_user == name]
            completed = sum(made.state is State.COMPLETED for made in its)
            expected.append((completed, len(its) - completed, sum(made.charged_nanos for made in its)))
        assert sorted(row[1:] for row in rows) == sorted(expected)

    def teardown(self) -> None:
        self.check_what_end_users_were_charged()
        for made in self.made:
            usage = self.run(view(self.parts.viewing, self.customer.id, made.id, made.type)).usage
            assert (usage is not None) == made.is_final
            assert usage is None or usage.total_cost == usage.unit_price * usage.quantity
        books = self.run(check_books(OPERATOR, self.parts.db))
        assert books.balances, books
        held_and_settled = self.run(
            self.shop.query(
                """select count(*) filter (where kind = 'hold'), count(*) filter (where kind = 'settle')
                   from transfers where workspace_id = %s""",
                self.customer.id,
            )
        )
        assert held_and_settled == [(len(self.made), len(self.made) - len(self.under_way))]


def delivery(made: Made, thousandths: int) -> tuple[StoredFile, ...]:
    """One file, as if it lay in the store."""
    if made.type is GenerationType.IMAGE:
        facts = MediaFacts(mime_type="image/jpeg", width=64, height=64)
    else:
        facts = MediaFacts(
            mime_type="video/mp4", width=64, height=64, duration_seconds=thousandths / 1000, fps=24.0, has_sound=False
        )
    return (StoredFile(index=0, key=f"media/{made.id}", size_bytes=1, sha256="ab" * 32, facts=facts),)


@pytest.fixture
def world(fresh_database_url: str, tmp_path: Path) -> Iterator[World]:
    with asyncio.Runner() as runner:
        opened = parts_in(tmp_path, fresh_database_url)
        parts = runner.run(opened.__aenter__())
        try:
            yield World(runner, parts)
        finally:
            runner.run(opened.__aexit__(None, None, None))


def test_the_ledger_holds_whatever_happens(world: World) -> None:
    class LedgerOfThisWorld(Ledger):
        pass

    LedgerOfThisWorld.world = world
    run_state_machine_as_test(
        LedgerOfThisWorld,
        settings=settings(
            max_examples=40, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
