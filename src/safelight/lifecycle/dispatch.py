"""What one run says to backends: which is asked, in which order, and what may be repeated.

A backend is asked for a job once for each recorded intent. The next binding, or the same again, is asked only where the
answer says that nothing was taken, or that the job which was taken made nothing; never where that was unknown. What is
on record names the backend: a catalog that is edited under way changes what is asked next, not what was asked before.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import structlog
from psycopg.types.json import Jsonb

from safelight.domain.catalog import Binding
from safelight.domain.errors import ConfigurationError, MediaError, ServiceUnavailable
from safelight.domain.outcomes import (
    NOTHING_SAID,
    Accepted,
    Answer,
    Cancellation,
    CannotTell,
    Completed,
    Failed,
    FailureClass,
    Found,
    Handle,
    NeverTaken,
    Pending,
    Produced,
    Report,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Asked, Backend, Cancelable, Findable, Job, Pollable, Provider
from safelight.domain.pricing import cost_of
from safelight.domain.request import Order
from safelight.lifecycle import orders
from safelight.lifecycle.bills import Loss, loss_of
from safelight.lifecycle.changes import Hinted
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.hints import pause
from safelight.lifecycle.leases import LeaseLost, Leases
from safelight.lifecycle.pauses import STORE_PAUSE_SECONDS, Pauses
from safelight.lifecycle.polls import pause_seconds
from safelight.lifecycle.reports import log_fields, may_be_kept, report_of
from safelight.lifecycle.services import RunServices
from safelight.lifecycle.settle import StoredFile, delivered_thousandths
from safelight.lifecycle.targets import Absent, Elsewhere, Target, target_on_record
from safelight.lifecycle.turns import Turns
from safelight.lifecycle.workdir import Workdir
from safelight.node.killpoints import killpoint
from safelight.telemetry import observe
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

MAX_ATTEMPTS = 5
_MAX_POLL_FAILURES = 5
_CANCEL_SECONDS = 10.0

# The client's own doing: no other backend would answer better.
_FINAL = (FailureClass.CONTENT_POLICY, FailureClass.BAD_INPUT, FailureClass.CANCELED)
# What a job may fail of that another would not.
_NO_FAULT_OF_THE_JOB = (FailureClass.TRANSIENT, FailureClass.RATE_LIMITED, FailureClass.QUOTA)

Outcome = Completed | Failed | Unknown
T = TypeVar("T")


class Dispatch:
    """What one run says to the backends of its generation."""

    def __init__(self, services: RunServices, leases: Leases, claim: Claim, workdir: Workdir) -> None:
        model = services.catalog.models.get(claim.model)
        self._bindings: tuple[Binding, ...] = model.bindings if model else ()
        self._services = services
        self._leases = leases
        self._claim = claim
        self._workdir = workdir
        self._intent = self._bindings[0] if claim.is_intent_recorded else None
        self._may_hold_job = claim.was_submitted
        self._was_unknown = claim.is_unknown
        self._handle = claim.handle if claim.was_submitted else None
        found = target_on_record(services.backends, claim, self._bindings) if claim.was_submitted else None
        self._absence = found if isinstance(found, Absent) else None
        self._target = found if isinstance(found, Target) else None
        self._turns = Turns(
            self._bindings,
            services.breakers,
            first=None if self._target is None else self._target.binding,
            tries=claim.tries,
            ends_at=claim.claimed_at + claim.remaining_seconds,
        )
        self._tries = claim.tries
        self._submitted_at = claim.submitted_at or datetime.now(UTC)
        self._reported: Failed | None = None
        self._is_stop_billed = False
        self.was_asked = False
        """Whether this runner gave a backend the order."""
        self._is_stopped = False
        self._moved = asyncio.Event()

    @property
    def backend(self) -> Backend:
        """The backend that is, or was last, asked."""
        return self._asked.backend

    @property
    def provider(self) -> Provider:
        return self._asked.provider

    async def outcome(self) -> Outcome | Elsewhere:
        """Go on where the last runner stopped, to the end, or to where only waiting helps."""
        try:
            return await self._outcome()
        except (LeaseLost, ServiceUnavailable):
            raise
        except Exception as error:
            log.error("provider broke", id=self._claim.id, **without_message(error))
            return self._after_surprise(error)

    async def stopped(self) -> bool:
        """Ask the backend to stop, once there is a job to stop. True: it certainly stopped and made nothing.

        One whose orders cost nothing is asked too, so that it does no work for nobody; what it answers does not matter.
        """
        if self._may_hold_job and self._target is None:
            return False
        if self._may_hold_job and self._handle is not None and self._asked.is_repeatable:
            await self._cancel(self._handle)
        while self._may_hold_job and not self._asked.is_repeatable:
            self._moved.clear()
            if self._handle is not None:
                answered = await self._cancel(self._handle)
                self._is_stop_billed = answered is Cancellation.BILLED
                if answered in (Cancellation.FREE, Cancellation.BILLED):
                    return True
            await self._moved.wait()
        self._is_stopped = True
        return True

    async def abandon(self) -> Cancellation:
        """The order is given up: ask the backend to stop, if there is a job that can be stopped."""
        if self._target is None or self._handle is None:
            return Cancellation.TOO_LATE
        return await self._cancel(self._handle)

    @property
    def _job_id(self) -> str:
        """What the backend may know this order by: no two orders of a generation share it."""
        return f"{self._claim.id}.{self._tries}" if self._tries else self._claim.id

    @property
    def _job(self) -> Job[Any]:
        """The order that the backend has, or is to be given, as a call may know it."""
        claim, binding, job_id = self._claim, self._asked.binding, self._job_id
        links = self._services.links
        return Job(
            id=job_id,
            generation_id=claim.id,
            type=claim.type,
            upstream_model=binding.upstream_model,
            options=binding.options,
            submitted_at=self._submitted_at,
            make_workdir=self._workdir.folder,
            progress=lambda fraction: self._leases.note_progress(claim.id, fraction),
            reference_url=lambda index: links.reference(claim.id, index),
            size_word=binding.size_word(claim.spec.resolution, claim.spec.aspect_ratio),
            callback_url=links.callback(binding.connection, job_id),
        )

    async def made_again(self) -> tuple[Produced, ...] | None:
        """What the job made, asked for once more: addresses may be fresh ones. None if there is no job to ask about.

        Raises ``MediaError`` where the backend does not say now.
        """
        if self._handle is None or not isinstance(self.provider, Pollable):
            return None
        asked = Asked(self._handle, self._job)
        outcome = await self._services.polls.poll(self._asked.backend, self._claim.workspace_id, asked)
        if isinstance(outcome, Pending | Unknown):
            raise MediaError("The backend does not say now what its job made.")
        return outcome.media if isinstance(outcome, Completed) else None

    def report(self, outcome: Failed | Unknown | Elsewhere) -> Report | None:
        """What there is to say of an outcome, for the operator; None if it was put on record already."""
        if isinstance(outcome, Elsewhere):
            return report_of("left", None, None, detail=outcome.why)
        return None if outcome is self._reported else self._report_of(outcome)

    def report_undelivered(self, why: str) -> Report:
        """That what the backend made could not be kept."""
        return report_of("undelivered", self._asked.binding, self._asked.backend, detail=why)

    def report_canceled(self) -> Report | None:
        """That the backend stopped at our wish, and bills it all the same; None: there is nothing to tell."""
        if not self._is_stop_billed:
            return None
        return report_of("canceled", self._asked.binding, self._asked.backend, answer=Answer(is_billed=True))

    def report_completed(self, completed: Completed, detail: str) -> Report | None:
        """What the backend said of what it made, and what is to be told of that; None: nothing."""
        said = completed.answer
        if not detail and msgspec.structs.replace(said, seed=None, status=None) == NOTHING_SAID:
            return None
        return report_of("completed", self._asked.binding, self._asked.backend, detail=detail, answer=said)

    @property
    def is_order_on_record(self) -> bool:
        """Whether an order is on record that a backend may have."""
        return self._may_hold_job

    def cost_nanos(self, answer: Answer, files: tuple[StoredFile, ...]) -> int | None:
        """What the files cost us, as far as anybody says."""
        claim = self._claim
        return cost_of(self._asked.binding, answer, claim.spec.resolution, delivered_thousandths(claim, files))

    def loss(self, answer: Answer, reason: str, *, is_billed: bool = False) -> Loss | None:
        """What the last order costs us, as nobody is charged for it; ``is_billed``: it was made, or may have been."""
        if self._target is None or (is_billed and self._asked.is_repeatable):
            return None
        if self._is_stop_billed:
            answer = msgspec.structs.replace(answer, is_billed=True)
        return loss_of(self._claim, self._asked, answer, reason, is_billed=is_billed)

    @property
    def _asked(self) -> Target:
        assert self._target is not None
        return self._target

    async def _outcome(self) -> Outcome | Elsewhere:
        claim = self._claim
        if self._absence is not None:
            return Unknown(self._absence.why)
        if claim.attempts > MAX_ATTEMPTS:
            return Failed(FailureClass.PERMANENT, f"{claim.attempts - 1} runners were lost on it")
        if self._handle is not None:
            return await self._seen_through(await self._traced(self._poll(self._handle)))
        if claim.was_submitted and not self._asked.is_repeatable:
            return await self._seen_through(await self._traced(self._find()))
        if self._target is None and not self._bindings:
            return Elsewhere(f"the catalog of this worker has no model {claim.model!r}")
        return await self._seen_through(None)

    def _after_surprise(self, error: Exception) -> Failed | Unknown:
        """A surprise says nothing of whether the backend took the job."""
        detail = "the adapter broke: {error} at {at}".format(**without_message(error))
        if self._may_hold_job and not self._asked.is_repeatable:
            return Unknown(detail)
        return Failed(FailureClass.PERMANENT, detail)

    async def _cancel(self, handle: Handle) -> Cancellation:
        provider = self.provider
        if not isinstance(provider, Cancelable):
            return Cancellation.TOO_LATE
        try:
            with observe.BackendCall(self._asked.backend.kind, "cancel", generation_id=self._claim.id) as call:
                async with asyncio.timeout(_CANCEL_SECONDS):
                    answered = await provider.cancel(handle, self._job)
                call.result = "ok"
        except TimeoutError:
            return Cancellation.ASKED
        except Exception as error:
            log.error("provider broke in cancel", id=self._claim.id, **without_message(error))
            return Cancellation.ASKED
        killpoint("cancel-after-backend")
        return answered

    async def _seen_through(self, outcome: Outcome | None) -> Outcome | Elsewhere:
        """Go on from what came of the last order, if any: ask each binding in turn until one makes it."""
        failure = Failed(FailureClass.TRANSIENT, "every try came to nothing")
        while True:
            if isinstance(outcome, Failed) and await self._may_ask_another(outcome):
                failure = outcome
            elif outcome is not None:
                return outcome
            binding = await self._turns.next()
            if binding is None:
                return self._came_to_nothing(failure)
            outcome = await self._ask(binding)

    async def _may_ask_another(self, failure: Failed) -> bool:
        """Whether a backend may be asked after this failure; a job that made nothing is off the record then."""
        was_taken = self._may_hold_job
        if failure.reason in _FINAL or (
            was_taken and (self._was_unknown or failure.reason not in _NO_FAULT_OF_THE_JOB)
        ):
            return False
        self._turns.declined(failure)
        if was_taken:
            if self._turns.are_over and not self._turns.are_left_to_others:
                return False  # its job stays on record
            await self._withdraw_order(failure)
        return True

    def _came_to_nothing(self, failure: Failed) -> Failed | Elsewhere:
        """No binding is left. One that only this process could not ask may be another's, unless somebody waits here."""
        why = self._turns.absence
        if why is None or not self._turns.are_left_to_others:
            return failure
        if not self._claim.is_intent_recorded:
            return Elsewhere(why)
        return Failed(FailureClass.PERMANENT, why) if self._reported is None else failure

    async def _ask(self, binding: Binding) -> Outcome | None:
        """Give one backend the order, after waiting for a place there, and see what comes of it. None: not asked."""
        try:
            self._target = Target(binding, self._services.backends.open(binding.connection))
        except ConfigurationError as error:
            log.error("connection cannot be opened", connection=binding.connection, reason=error.message)
            self._turns.set_aside(error.message)
            return None
        places, pauses = self._asked.backend.places, Pauses(math.inf, most_seconds=STORE_PAUSE_SECONDS)
        while True:
            if places is not None and places.locked():
                await self._withdraw_unused_intent()
            async with places or contextlib.nullcontext():
                try:
                    order = await orders.order_of(self._services, self._claim)
                except FileNotFoundError:
                    return Failed(FailureClass.PERMANENT, "a reference is gone from the store")
                except ServiceUnavailable as error:
                    away = error
                else:
                    return await self._traced(self._submit(order))
            log.warning("the store that holds the references is away; trying again", id=self._claim.id)
            await self._withdraw_unused_intent()
            await pauses.next(away)  # to the deadline, at most

    async def _traced(self, work: Awaitable[T]) -> T:
        return await orders.traced(self._services, self._claim, self._asked, work)

    async def _withdraw_unused_intent(self) -> None:
        """Waiting is no intent."""
        if self._intent is not None:
            await self._withdraw_intent()

    async def _submit(self, order: Order) -> Outcome:
        await self._record_intent()
        outcome = await self._call(order)
        killpoint("run-after-submit")
        match outcome:
            case Failed():
                await self._withdraw_order(outcome)
                return outcome
            case Accepted(handle):
                return await self._accepted(handle)
            case Completed() | Unknown():
                return outcome

    async def _call(self, order: Order) -> SubmitOutcome:
        """The one call that may cost money. Nothing stands between the check of the lease and it."""
        if self._is_stopped:
            await asyncio.Event().wait()  # canceled meanwhile: the run is being ended
        self._leases.check(self._claim)
        self._may_hold_job = self.was_asked = True
        try:
            with self._observed_submit() as call:
                outcome = await self.provider.submit(order, self._job)
                call.came(outcome)
        except Exception as error:
            # It says nothing of the backend, and so nothing to the breaker: its other models go on as ever.
            log.error("provider broke in submit", id=self._claim.id, **without_message(error))
            return self._after_surprise(error)
        self._tell_breaker(outcome)
        return outcome

    def _observed_submit(self) -> observe.BackendCall:
        kind, model = self._asked.backend.kind, self._asked.binding.upstream_model
        return observe.BackendCall(kind, "submit", model=model, generation_id=self._claim.id)

    def _tell_breaker(self, outcome: SubmitOutcome) -> None:
        """A request, or a model, that cannot be served says nothing against the connection's other models."""
        connection, breakers = self._asked.binding.connection, self._services.breakers
        match outcome:
            case Unknown():
                breakers.failed(connection)
            case Failed(FailureClass.RATE_LIMITED, _, wished) if wished is not None and wished > 0:
                breakers.limited(connection, wished)
            case Failed(reason) if reason not in _FINAL and reason is not FailureClass.PERMANENT:
                breakers.failed(connection)
            case _:
                breakers.succeeded(connection)

    async def _accepted(self, handle: Handle) -> Outcome:
        if not may_be_kept(handle, self._asked.backend.every_secret()):
            return Unknown("the backend took the order, and what it calls the job cannot be kept")
        await self._record("record_handle", handle=Jsonb(handle))
        killpoint("run-after-handle")
        self._handle = handle
        orders.note_handle(handle)
        self._moved.set()
        return await self._poll(handle)

    async def _poll(self, handle: Handle) -> Outcome:
        provider = self.provider
        if not isinstance(provider, Pollable):
            return Unknown("the backend gave a job that cannot be asked about")
        with self._services.changes.hinted(self._claim.id) as hinted:
            return await self._polled(handle, hinted)

    async def _polled(self, handle: Handle, hinted: Hinted) -> Outcome:
        failures = 0
        for count in itertools.count():
            asked: float | None = None
            try:
                outcome = await self._services.polls.poll(
                    self._asked.backend, self._claim.workspace_id, Asked(handle, self._job), hinted
                )
            except Exception as error:
                log.error("provider broke in poll", id=self._claim.id, **without_message(error))
                failures += 1
                if failures == _MAX_POLL_FAILURES:
                    return Unknown("the backend cannot be asked")
            else:
                failures = 0
                match outcome:
                    case Completed() | Failed():
                        killpoint("run-after-poll")
                        return outcome
                    case Pending(progress):
                        asked = outcome.poll_after_seconds
                        self._leases.note_stage(self._claim.id, outcome.stage, outcome.place)
                        if progress is not None:
                            self._leases.note_progress(self._claim.id, progress)
            await pause(hinted, pause_seconds(asked, count))
        raise AssertionError  # counting does not end

    async def _find(self) -> Outcome | None:
        """Ask a backend whether it has a job of ours. None: it certainly has not."""
        provider = self.provider
        if not isinstance(provider, Findable):
            return Unknown("the backend cannot be asked for a job by our id")
        found = await self._services.polls.find(self._asked.backend, self._claim.workspace_id, self._job)
        killpoint("run-after-find")
        match found:
            case Found(outcome):
                return await self._accepted(outcome.handle) if isinstance(outcome, Accepted) else outcome
            case NeverTaken():
                await self._withdraw_intent()
                return None
            case CannotTell(detail, said):
                return Unknown(detail, said)

    async def _record_intent(self) -> None:
        binding = self._asked.binding
        if self._intent == binding:
            return
        await self._record(
            "record_intent",
            connection=binding.connection,
            upstream_model=binding.upstream_model,
            binding_options=Jsonb(binding.options),
            binding=self._bindings.index(binding) if binding in self._bindings else 0,
        )
        self._intent = binding
        self._submitted_at = datetime.now(UTC)
        killpoint("run-after-intent")

    async def _withdraw_order(self, failure: Failed) -> None:
        """The order was declined, or its job made nothing: a try is over, and the next may be begun."""
        report = self._report_of(failure)
        word = "backend declined" if self._handle is None else "backend's job made nothing"
        log.warning(word, id=self._claim.id, **log_fields(report))
        self._reported = failure
        self._tries += 1
        await self._withdraw_intent(report, self.loss(failure.answer, "failed"))

    async def _withdraw_intent(self, report: Report | None = None, loss: Loss | None = None) -> None:
        values = {"report": report and Jsonb(report), "loss": loss and Jsonb(loss), "tries": self._tries}
        await self._record("withdraw_intent", **values)
        killpoint("run-after-withdraw")
        self._intent, self._handle, self._may_hold_job, self._was_unknown = None, None, False, False
        self._moved.set()

    async def _record(self, name: str, **values: object) -> None:
        claim = self._claim
        params = {"id": claim.id, "run_token": claim.run_token, **values}
        if not await self._leases.written(claim, lambda: self._services.db.run(name, params)):
            raise LeaseLost

    def _report_of(self, outcome: Failed | Unknown) -> Report:
        target = self._target
        word = "unknown" if isinstance(outcome, Unknown) else "declined" if self._handle is None else "failed"
        return report_of(
            word,
            None if target is None else target.binding,
            None if target is None else target.backend,
            reason=outcome.reason if isinstance(outcome, Failed) else None,
            detail=outcome.detail,
            answer=outcome.answer,
        )
