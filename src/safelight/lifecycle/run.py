"""Step two: run one generation, from its claim to its end.

The intent to call a backend is committed before the call and its job handle right after it, so that a crash at any
point leaves a row that says what may have happened. Outcomes are matched once, here.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from safelight.db.pool import one
from safelight.domain.errors import (
    ConfigurationError,
    ContentPolicyViolation,
    GenerationFailed,
    InvalidParameter,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.generations import GenerationType, State
from safelight.domain.outcomes import (
    NOTHING_SAID,
    Answer,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    Report,
    Unknown,
)
from safelight.domain.ports import Provider, Repeatable, Sizeless
from safelight.lifecycle import settle
from safelight.lifecycle.bills import Loss, loss_of
from safelight.lifecycle.claims import Claim, ClaimedRow
from safelight.lifecycle.deliver import deliver
from safelight.lifecycle.dispatch import MAX_ATTEMPTS, Dispatch
from safelight.lifecycle.leases import LeaseLost, Leases
from safelight.lifecycle.notes import note_files
from safelight.lifecycle.reports import log_fields
from safelight.lifecycle.services import RunServices
from safelight.lifecycle.settle import MadeImage, Settled, StoredFile
from safelight.lifecycle.targets import Elsewhere, Target, target_on_record
from safelight.lifecycle.workdir import Workdir
from safelight.node.killpoints import killpoint
from safelight.telemetry import observe, spans, traces
from safelight.telemetry.exceptions import without_message
from safelight.telemetry.names import OUTCOME
from safelight.telemetry.traces import Span

log = structlog.get_logger()

_Outcome = Completed | Failed | Unknown | Elsewhere

_DELIVERY_GRACE_SECONDS = 60.0
_HANGING_SECONDS = 10.0
_SEEDS = 2**63
"""Those that a row has room for: larger ones are not told."""


async def claim(services: RunServices, generation_id: str) -> Claim | None:
    """Take a generation to run. None: it has ended, or somebody else is running it."""
    run_token, lease_seconds = services.presence.run_token(), services.limits.lease_seconds
    params = {"id": generation_id, "run_token": run_token, "lease_seconds": lease_seconds}
    killpoint("run-before-claim")
    row = await services.db.lookup("claim", params, ClaimedRow)
    if row is None:
        return None
    killpoint("run-after-claim")
    if row.attempts == 1:
        observe.waited(GenerationType(row.type), row.model, row.age_seconds)
    return row.claim()


async def run(
    services: RunServices, leases: Leases, claim: Claim, *, is_unseen: Callable[[], bool] = lambda: False
) -> MadeImage | None:
    """Run a claimed generation to its end, or to where only waiting helps. An image that it completed comes back.

    ``is_unseen`` is asked at the end whether nobody waits for it any more. Losing the lease stops the run without a
    trace: whoever holds it now goes on. Cancelling the task hands the generation back for another runner.
    """
    with traced(claim) as span:
        return await _run(services, leases, claim, is_unseen, span)


def traced(claim: Claim) -> Span:
    """The run of a claim, as a span."""
    return spans.run(
        spans.Work(
            id=claim.id,
            workspace_id=claim.workspace_id,
            type=claim.type,
            model=claim.model,
            attempt=claim.attempts,
            traceparent=claim.traceparent,
        )
    )


async def _run(
    services: RunServices, leases: Leases, claim: Claim, is_unseen: Callable[[], bool], span: Span
) -> MadeImage | None:
    async with leases.held(claim) as cancel_asked, _workdir(services, claim) as workdir:
        this = _Run(services, leases, claim, workdir, is_unseen)
        try:
            await this.to_its_end(cancel_asked)
        except LeaseLost:
            observe.lost_lease()
            span.fail("lease_lost")
            log.warning("run lost its lease", id=claim.id)
        except ServiceUnavailable:
            # The row stands as it was last written; its lease runs out, and the reconciler takes it from there.
            span.fail("service_unavailable")
            log.error("run stopped: the database or the store is away", id=claim.id)
        except Exception as error:
            span.fail(type(error).__name__)
            log.error("run broke", id=claim.id, **without_message(error))  # likewise; a few lost runners, and it fails
        except asyncio.CancelledError:
            span.set(OUTCOME, "handed_back")
            await hand_back(services, claim)
            raise
        return this.completed_image


class _Run:
    """One run of one generation."""

    def __init__(
        self, services: RunServices, leases: Leases, claim: Claim, workdir: Workdir, is_unseen: Callable[[], bool]
    ) -> None:
        self._services = services
        self._leases = leases
        self._claim = claim
        self._dispatch = Dispatch(services, leases, claim, workdir)
        self._workdir = workdir
        self._is_unseen = is_unseen
        self.completed_image: MadeImage | None = None
        self._deadline = time.monotonic() + max(claim.remaining_seconds, 0)

    async def to_its_end(self, cancel_asked: asyncio.Future[None]) -> None:
        work = asyncio.create_task(self._outcome())
        try:
            async with asyncio.timeout(max(self._claim.remaining_seconds, 0)):
                await asyncio.wait((work, cancel_asked), return_when=asyncio.FIRST_COMPLETED)
                if not work.done() and await self._is_stopped_before(work):
                    await self._fail_canceled()
                    return
                outcome = await work
        except TimeoutError:
            log.warning("generation passed its deadline", id=self._claim.id)
            work.cancel()
            answered = await self._dispatch.abandon()
            report = self._dispatch.report(Failed(FailureClass.PERMANENT, "the deadline passed"))
            may_be_made = self._may_be_made()
            loss = self._loss_of_abandoned(answered) if may_be_made else None
            await self._fail(GenerationFailed(), report=report, may_be_made=may_be_made, loss=loss)
            return
        finally:
            await _ended(work)
        if isinstance(outcome, Elsewhere):
            await self._leave_to_others(outcome, cancel_asked)
        else:
            await self._end(outcome, is_cancel_asked=cancel_asked.done())

    async def _outcome(self) -> _Outcome:
        claim = self._claim
        with observe.Step("backend", claim.id, claim.type, claim.model):
            return await self._dispatch.outcome()

    def _loss_of_abandoned(self, answered: Cancellation) -> Loss | None:
        match answered:
            case Cancellation.FREE:
                return None
            case Cancellation.BILLED:
                return self._dispatch.loss(Answer(is_billed=True), "canceled")
            case _:
                return self._dispatch.loss(NOTHING_SAID, "unknown", is_billed=True)

    async def _is_stopped_before(self, work: asyncio.Task[_Outcome]) -> bool:
        """Whether the backend stopped at our wish; False: the work decides, which came to its end first."""
        stopper = asyncio.create_task(self._dispatch.stopped())
        try:
            await asyncio.wait((work, stopper), return_when=asyncio.FIRST_COMPLETED)
            return not work.done() and stopper.done() and stopper.result()
        finally:
            await _ended(stopper)

    async def _end(self, outcome: Completed | Failed | Unknown, *, is_cancel_asked: bool) -> None:
        match outcome:
            case Completed():
                await self._complete(outcome)
            case Failed(FailureClass.CANCELED) if is_cancel_asked:
                await self._fail_canceled(outcome.answer)
            case Failed():
                report = self._dispatch.report(outcome)
                log.warning(
                    "generation failed", id=self._claim.id, **(log_fields(report) or {"reason": outcome.reason.value})
                )
                may_be_made, loss = await self._left_over(outcome)
                await self._fail(_error_of(outcome), report=report, may_be_made=may_be_made, loss=loss)
            case Unknown():
                await self._record_unknown(outcome)

    async def _left_over(self, outcome: Failed) -> tuple[bool, Loss | None]:
        """Whether a backend may have made it all the same, and what the order costs us that is on record.

        One that was declined, or whose job made nothing, is off the record, with what it cost.
        """
        if not self._dispatch.is_order_on_record:
            return False, None
        if self._claim.attempts <= MAX_ATTEMPTS:
            return False, self._dispatch.loss(outcome.answer, "failed")
        answered = await self._dispatch.abandon()  # that it failed is no word of the backend's
        may_be_made = self._may_be_made()
        return may_be_made, self._loss_of_abandoned(answered) if may_be_made else None

    async def _complete(self, outcome: Completed) -> None:
        claim, until = self._claim, max(self._deadline, time.monotonic()) + _DELIVERY_GRACE_SECONDS
        try:
            # It gives up by itself when the time is up; a thread or a store that hangs does not.
            async with asyncio.timeout(until - time.monotonic() + _HANGING_SECONDS):
                files = await self._deliver(outcome, until)
        except SafelightError as error:
            report = self._dispatch.report_undelivered(str(error))
            log.warning("delivery failed", id=claim.id, error=error.code, **log_fields(report))
            is_billed = not isinstance(error, ContentPolicyViolation)
            loss = self._dispatch.loss(outcome.answer, "undelivered", is_billed=is_billed)
            await self._fail(_as_client_sees(error), report=report, loss=loss)
            return
        except Exception as error:
            log.error("delivery broke", id=claim.id, **without_message(error))
            broke = "delivery broke: {error} at {at}".format(**without_message(error))
            loss = self._dispatch.loss(outcome.answer, "undelivered", is_billed=True)
            await self._fail(GenerationFailed(), report=self._dispatch.report_undelivered(broke), loss=loss)
            return
        await self._settle(outcome, files)

    async def _deliver(self, outcome: Completed, until: float) -> tuple[StoredFile, ...]:
        claim, dispatch = self._claim, self._dispatch
        with observe.Step("deliver", claim.id, claim.type, claim.model):
            return await deliver(
                self._services,
                claim,
                dispatch.backend,
                outcome.media,
                self._workdir,
                until=until,
                again=dispatch.made_again,
            )

    async def _settle(self, outcome: Completed, files: tuple[StoredFile, ...]) -> None:
        claim = self._claim
        difference = self._difference_in_size(files)
        report = self._dispatch.report_completed(outcome, difference)
        if difference:
            log.warning("the backend made another size than was ordered", id=claim.id, **log_fields(report))
        seed = claim.spec.seed if outcome.answer.seed is None else outcome.answer.seed
        seed = seed if seed is not None and abs(seed) < _SEEDS else None
        complete = partial(
            settle.complete,
            self._services.db,
            claim,
            files,
            report=report,
            cost_nanos=self._dispatch.cost_nanos(outcome.answer, files),
            seed=seed,
        )
        tries = 0

        async def try_to_complete() -> Settled | None:
            nonlocal tries
            tries += 1
            return await complete(unseen=self._is_unseen() or tries > 1)

        settled = await self._leases.written(claim, try_to_complete)
        unseen = settled is not None and settled.unseen
        if not unseen and self._is_unseen() and claim.is_intent_recorded:
            # Whoever waited gave up as it was committed, perhaps by a try whose answer was lost.
            lost, unseen = {"ids": [claim.id], "seen": False}, True
            await self._leases.written(claim, lambda: self._services.db.run("record_seen", lost))
        if settled is None:
            raise LeaseLost
        self._leases.let_go(claim)
        await note_files(self._services.store, claim, files, settled)
        if claim.type is GenerationType.IMAGE:
            self.completed_image = MadeImage(claim=claim, files=files, settled=settled, unseen=unseen, seed=seed)

    def _difference_in_size(self, files: tuple[StoredFile, ...]) -> str:
        """What was delivered where that is not what was asked for; empty where it is, or the backend has one size."""
        spec, provider = self._claim.spec, self._dispatch.provider
        sizes = {(file.facts.width, file.facts.height) for file in files} - {(spec.width, spec.height)}
        if not sizes or (isinstance(provider, Sizeless) and provider.is_sizeless):
            return ""
        delivered = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        return f"asked for {spec.width}x{spec.height}, and got {delivered}"

    async def _fail_canceled(self, answer: Answer = NOTHING_SAID) -> None:
        report, loss = self._dispatch.report_canceled(), self._dispatch.loss(answer, "canceled")
        await self._fail(GenerationFailed("The generation was canceled."), State.CANCELED, report=report, loss=loss)

    async def _fail(
        self,
        error: SafelightError,
        state: State = State.FAILED,
        report: Report | None = None,
        *,
        may_be_made: bool = False,
        loss: Loss | None = None,
    ) -> None:
        fail = partial(
            settle.fail,
            self._services.db,
            self._claim,
            error,
            state=state,
            unseen=self._is_unseen(),
            report=report,
            may_be_made=may_be_made,
            loss=loss,
        )
        if await self._leases.written(self._claim, fail) is None:
            raise LeaseLost
        self._leases.let_go(self._claim)

    def _may_be_made(self) -> bool:
        """Whether a backend may hold the order, and is not to be given it twice."""
        if not self._dispatch.is_order_on_record:
            return False
        if self._dispatch.was_asked:
            return not _repeats_freely(self._dispatch.provider)
        return was_asked_once(self._services, self._claim)

    async def _leave_to_others(self, outcome: Elsewhere, cancel_asked: asyncio.Future[None]) -> None:
        """Nobody was asked: another worker may know the model, or open the connection. The row waits for a while."""
        if cancel_asked.done():
            await self._fail(GenerationFailed("The generation was canceled."), State.CANCELED)
            return
        claim, report = self._claim, self._dispatch.report(outcome)
        log.warning("generation left to another worker", id=claim.id, **log_fields(report))
        params = {"id": claim.id, "run_token": claim.run_token, "report": Jsonb(report)}
        traces.current().set(OUTCOME, "left")
        if not await self._leases.written(claim, lambda: self._services.db.run("leave_to_others", params)):
            raise LeaseLost
        killpoint("leave-after-commit")

    async def _record_unknown(self, outcome: Unknown) -> None:
        claim, report = self._claim, self._dispatch.report(outcome)
        traces.current().set(OUTCOME, State.UNKNOWN.value)
        log.warning("outcome unknown: the backend may hold the job", id=claim.id, **log_fields(report))
        params = {
            "id": claim.id,
            "run_token": claim.run_token,
            "counts": int(self._dispatch.was_asked),
            "first_look_seconds": self._services.limits.lease_seconds / 2,
            "report": report and Jsonb(report),
        }
        await self._leases.written(claim, lambda: self._services.db.run("record_unknown", params))
        killpoint("unknown-after-commit")


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task that goes on, and wait for its end; what it comes to is nobody's any more."""
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    elif not task.cancelled():
        task.exception()


def was_asked_once(services: RunServices, claim: Claim) -> bool:
    """Whether an earlier runner may have given the order to a backend that is not to be given it twice."""
    if claim.was_submitted and claim.intent is not None:
        with contextlib.suppress(ConfigurationError):
            return not _repeats_freely(services.backends.open(claim.intent.connection).provider)
    return claim.was_submitted


def loss_of_unknown(services: RunServices, claim: Claim) -> Loss | None:
    """What an order costs us that an earlier runner gave, and whose outcome was never known."""
    model = services.catalog.models.get(claim.model)
    target = target_on_record(services.backends, claim, model.bindings if model else ())
    if not isinstance(target, Target):
        return None
    return loss_of(claim, target, NOTHING_SAID, "unknown", is_billed=True)


def _repeats_freely(provider: Provider) -> bool:
    return isinstance(provider, Repeatable) and provider.repeatable


async def hand_back(services: RunServices, claim: Claim) -> None:
    """Give the generation to another runner, with its job in the same transaction."""
    params = {"id": claim.id, "run_token": claim.run_token}
    with contextlib.suppress(ServiceUnavailable):
        async with services.db.connection() as connection, connection.transaction():
            if await one(connection, "hand_back", params, tuple):
                await services.enqueue(connection, claim.id, claim.model)
                killpoint("hand-back-before-commit")
                log.info("generation handed back", id=claim.id)
        killpoint("hand-back-after-commit")


@contextlib.asynccontextmanager
async def _workdir(services: RunServices, claim: Claim) -> AsyncIterator[Workdir]:
    if claim.attempts > 1:
        await asyncio.to_thread(_remove_leftovers, services.work_dir, claim.id)
    workdir = Workdir(services.work_dir / f"{claim.id}-{claim.run_token.hex[:8]}")
    try:
        yield workdir
    finally:
        await workdir.clear()


def _remove_leftovers(folder: Path, generation_id: str) -> None:
    """What a killed runner left on this machine. One that is alive after all finds it gone, and writes nothing."""
    for path in folder.glob(f"{generation_id}-*"):
        shutil.rmtree(path, ignore_errors=True)


def _error_of(failure: Failed) -> SafelightError:
    """What a client is told: nothing of a backend's own words, which may quote a key."""
    match failure.reason:
        case FailureClass.CONTENT_POLICY:
            return ContentPolicyViolation()
        case FailureClass.BAD_INPUT:
            return InvalidParameter("The backend does not take this combination of prompt, images and options.")
        case _:
            return GenerationFailed()


def _as_client_sees(error: SafelightError) -> SafelightError:
    """The error as a client may see it: a store's or a file's own story is the operator's."""
    if isinstance(error, ContentPolicyViolation):
        return error
    return ServiceUnavailable() if isinstance(error, ServiceUnavailable) else GenerationFailed()
