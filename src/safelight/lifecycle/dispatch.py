"""What one run says to backends: which is asked, in which order, and what may be repeated.

A backend is asked for a job once for each recorded intent. The next binding, or the same again, is asked only where the
answer says that nothing was taken. What is on record names the backend: a catalog that is edited under way changes what
is asked next, never what was asked before.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from pathlib import Path

import msgspec
import structlog
from psycopg.types.json import Jsonb

from safelight.db.outage import through_outage
from safelight.domain.catalog import Binding
from safelight.domain.errors import ConfigurationError, ServiceUnavailable
from safelight.domain.media import Reference
from safelight.domain.outcomes import (
    Accepted,
    Completed,
    Failed,
    FailureClass,
    Handle,
    Pending,
    Report,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Attempt, Backend, Cancelable, Findable, Pollable, Provider, Repeatable
from safelight.domain.request import Order
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.leases import LeaseLost, Leases
from safelight.lifecycle.reports import log_fields, report_of
from safelight.lifecycle.services import RunServices
from safelight.node.killpoints import killpoint
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

MAX_ROUNDS = 4
MAX_ATTEMPTS = 5
_POLL_SECONDS = (0.5, 1, 2, 3, 5)
_BACKOFF_SECONDS = (1, 4, 15, 60)
_LEAST_PAUSE_SECONDS = 0.05
_MAX_POLL_FAILURES = 5
_CANCEL_SECONDS = 10.0

# The client's own doing: no other backend would answer better.
_FINAL = (FailureClass.CONTENT_POLICY, FailureClass.BAD_INPUT, FailureClass.CANCELED)
_WORTH_ANOTHER_ROUND = (FailureClass.TRANSIENT, FailureClass.RATE_LIMITED)


class _Turn(msgspec.Struct):
    """How one binding answered so far: how often it was asked, and when it may be asked again."""

    binding: Binding
    asked: int = 0
    not_before: float = 0.0

    def declined(self, failure: Failed, now: float) -> None:
        pause = failure.retry_after_seconds or _jittered(_BACKOFF_SECONDS[self.asked])
        self.asked += 1
        is_over = self.asked == MAX_ROUNDS or failure.reason not in _WORTH_ANOTHER_ROUND
        self.not_before = math.inf if is_over else now + pause


class _Target(msgspec.Struct, frozen=True):
    """The binding that is asked, and the backend behind it."""

    binding: Binding
    backend: Backend

    @property
    def provider(self) -> Provider:
        return self.backend.provider

    @property
    def is_repeatable(self) -> bool:
        return isinstance(self.provider, Repeatable) and self.provider.repeatable


class Dispatch:
    """What one run says to the backends of its generation."""

    def __init__(self, services: RunServices, leases: Leases, claim: Claim, workdir: Path) -> None:
        model = services.catalog.models.get(claim.model)
        self._bindings: tuple[Binding, ...] = model.bindings if model else ()
        self._services = services
        self._leases = leases
        self._claim = claim
        self._workdir = workdir
        self._intent = self._bindings[0] if claim.is_intent_recorded else None
        self._may_hold_job = claim.was_submitted
        self._handle = claim.handle
        self._target: _Target | None = None
        self._absence = "nothing tells which backend was asked"
        if claim.was_submitted:
            self._target = self._target_on_record()
        self._reported: Failed | None = None
        self.was_asked = False
        """Whether this runner gave a backend the order."""
        self._is_stopped = False
        self._moved = asyncio.Event()

    @property
    def provider(self) -> Provider:
        """The backend that is, or was last, asked."""
        return self._asked.provider

    async def outcome(self) -> Completed | Failed | Unknown:
        """Go on where the last runner stopped, to the end, or to where only waiting helps."""
        try:
            return await self._outcome()
        except (LeaseLost, ServiceUnavailable):
            raise
        except Exception as error:
            log.error("provider broke", id=self._claim.id, **without_message(error))
            return self._after_surprise(error)

    async def stopped(self) -> bool:
        """Ask the backend to stop, once there is a job to stop. True: it certainly stopped and made nothing."""
        if self._may_hold_job and self._target is None:
            return False
        while self._may_hold_job and not self._asked.is_repeatable:
            if self._handle is not None:
                return await self._cancel(self._handle)
            self._moved.clear()
            await self._moved.wait()
        self._is_stopped = True
        return True

    async def abandon(self) -> None:
        """At the deadline: ask the backend to stop, if there is a job that can be stopped."""
        if self._target is not None and self._handle is not None:
            await self._cancel(self._handle)

    def report(self, outcome: Failed | Unknown) -> Report | None:
        """What there is to say of an outcome, for the operator; None if it was put on record already."""
        return None if outcome is self._reported else self._report_of(outcome)

    def report_undelivered(self, why: str) -> Report:
        """That what the backend made could not be kept."""
        return report_of("undelivered", self._asked.binding, self._asked.backend, detail=why)

    @property
    def _asked(self) -> _Target:
        assert self._target is not None
        return self._target

    async def _outcome(self) -> Completed | Failed | Unknown:
        claim = self._claim
        if claim.was_submitted:
            if self._target is None:
                return Unknown(self._absence)
            if claim.attempts > MAX_ATTEMPTS:
                await self.abandon()
                return Failed(FailureClass.PERMANENT, f"{claim.attempts - 1} runners were lost on it")
            if claim.handle is not None:
                return await self._poll(claim.handle)
            if not self._target.is_repeatable and (found := await self._find()) is not None:
                return found
        if claim.attempts > MAX_ATTEMPTS:
            return Failed(FailureClass.PERMANENT, f"{claim.attempts - 1} runners were lost on it")
        if not self._bindings and self._target is None:
            return Failed(FailureClass.PERMANENT, "the catalog no longer has this model")
        return await self._submit_somewhere()

    def _target_on_record(self) -> _Target | None:
        """The backend that was asked before; None, and why, if it cannot be asked now."""
        intent = self._claim.intent
        try:
            if intent is not None:
                backend = self._services.backends.open(intent.connection)
                options = msgspec.convert(intent.options, backend.options)
                return _Target(
                    Binding(connection=intent.connection, upstream_model=intent.upstream_model, options=options),
                    backend,
                )
            if self._claim.binding_place < len(self._bindings):
                binding = self._bindings[self._claim.binding_place]
                return _Target(binding, self._services.backends.open(binding.connection))
        except ConfigurationError as error:
            self._absence = error.message
        except msgspec.ValidationError as error:
            self._absence = (
                f"the options on record are not options of connection {intent and intent.connection}: {error}"
            )
        return None

    def _after_surprise(self, error: Exception) -> Failed | Unknown:
        """A surprise says nothing of whether the backend took the job."""
        detail = "the adapter broke: {error} at {at}".format(**without_message(error))
        if self._may_hold_job and not self._asked.is_repeatable:
            return Unknown(detail)
        return Failed(FailureClass.PERMANENT, detail)

    async def _cancel(self, handle: Handle) -> bool:
        provider = self.provider
        if not isinstance(provider, Cancelable):
            return False
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                is_stopped = await provider.cancel(handle)
        except TimeoutError:
            return False
        except Exception as error:
            log.error("provider broke in cancel", id=self._claim.id, **without_message(error))
            return False
        killpoint("cancel-after-backend")
        return is_stopped

    async def _submit_somewhere(self) -> Completed | Failed | Unknown:
        """Ask each binding in order, and again when it may be, until one takes the order or none is left to ask."""
        bindings, first = list(self._bindings), 0
        if self._target is not None:  # the one on record first: it may be repeated, or took nothing
            if self._target.binding not in bindings:
                bindings.insert(0, self._target.binding)
            first = bindings.index(self._target.binding)
        turns = [_Turn(binding) for binding in bindings]
        failure = Failed(FailureClass.TRANSIENT, "no backend was asked")
        while True:
            for turn in turns[first:]:
                if turn.not_before > time.monotonic() or not self._services.breakers.allows(turn.binding.connection):
                    continue
                outcome = await self._ask(turn.binding)
                if not isinstance(outcome, Failed) or outcome.reason in _FINAL or self._handle is not None:
                    return outcome
                failure = outcome
                turn.declined(outcome, time.monotonic())
            first = 0
            pause = min(map(self._seconds_closed, turns))
            if pause == math.inf:
                return failure
            await asyncio.sleep(max(pause, _LEAST_PAUSE_SECONDS))

    def _seconds_closed(self, turn: _Turn) -> float:
        """How long a binding is not to be asked."""
        closed = self._services.breakers.seconds_closed(turn.binding.connection)
        return max(closed, turn.not_before - time.monotonic())

    async def _ask(self, binding: Binding) -> Completed | Failed | Unknown:
        """Give one backend the order, and wait for what comes of it; first for a place there."""
        try:
            self._target = _Target(binding, self._services.backends.open(binding.connection))
        except ConfigurationError as error:
            log.error("connection cannot be opened", connection=binding.connection, reason=error.message)
            return Failed(FailureClass.PERMANENT, error.message)
        places = self._asked.backend.places
        if places is None:
            return await self._submit()
        if places.locked() and self._intent is not None:
            await self._withdraw_intent()  # waiting is no intent
        async with places:
            return await self._submit()

    async def _submit(self) -> Completed | Failed | Unknown:
        try:
            order = await self._order()
        except FileNotFoundError:
            return Failed(FailureClass.PERMANENT, "a reference is gone from the store")
        except ServiceUnavailable:
            return Failed(FailureClass.TRANSIENT, "the store that holds the references is away")
        await self._record_intent()
        outcome = await self._call(order)
        killpoint("run-after-submit")
        match outcome:
            case Failed():
                report = self._report_of(outcome)
                log.warning("backend declined", id=self._claim.id, **log_fields(report))
                self._reported = outcome
                await self._withdraw_intent(report)
                return outcome
            case Accepted(handle):
                return await self._accepted(handle)
            case Completed() | Unknown():
                return outcome

    async def _call(self, order: Order) -> SubmitOutcome:
        """The one call that may cost money. Nothing stands between the check of the lease and it."""
        binding = self._asked.binding
        attempt = Attempt(
            upstream_model=binding.upstream_model,
            options=binding.options,
            workdir=self._workdir,
            progress=lambda fraction: self._leases.note_progress(self._claim.id, fraction),
        )
        if self._is_stopped:
            await asyncio.Event().wait()  # canceled meanwhile: the run is being ended
        self._leases.check(self._claim)
        self._may_hold_job = self.was_asked = True
        try:
            outcome = await self.provider.submit(order, attempt)
        except Exception as error:
            # It says nothing of the backend, and so nothing to the breaker: its other models go on as ever.
            log.error("provider broke in submit", id=self._claim.id, **without_message(error))
            return self._after_surprise(error)
        self._tell_breaker(outcome)
        return outcome

    def _tell_breaker(self, outcome: SubmitOutcome) -> None:
        """A request, or a model, that cannot be served says nothing against the connection's other models."""
        connection, breakers = self._asked.binding.connection, self._services.breakers
        match outcome:
            case Unknown():
                breakers.failed(connection)
            case Failed(reason) if reason not in _FINAL and reason is not FailureClass.PERMANENT:
                breakers.failed(connection)
            case _:
                breakers.succeeded(connection)

    async def _accepted(self, handle: Handle) -> Completed | Failed | Unknown:
        await self._record("record_handle", handle=Jsonb(handle))
        killpoint("run-after-handle")
        self._handle = handle
        self._moved.set()
        return await self._poll(handle)

    async def _poll(self, handle: Handle) -> Completed | Failed | Unknown:
        provider = self.provider
        if not isinstance(provider, Pollable):
            return Unknown("the backend gave a job that cannot be asked about")
        failures = 0
        for count in itertools.count():
            asked: float | None = None
            try:
                outcome = await provider.poll(handle)
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
                        if progress is not None:
                            self._leases.note_progress(self._claim.id, progress)
            await asyncio.sleep(asked or _jittered(_POLL_SECONDS[min(count, len(_POLL_SECONDS) - 1)]))
        raise AssertionError  # counting does not end

    async def _find(self) -> Completed | Failed | Unknown | None:
        """Ask a backend whether it has a job of ours. None: it certainly has not."""
        provider = self.provider
        if not isinstance(provider, Findable):
            return Unknown("the backend cannot be asked for a job by our id")
        answer = await provider.find(self._claim.id)
        killpoint("run-after-find")
        match answer:
            case Accepted(handle):
                return await self._accepted(handle)
            case None:
                await self._withdraw_intent()
                return None
            case Completed() | Failed() | Unknown():
                return answer

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
        killpoint("run-after-intent")

    async def _withdraw_intent(self, report: Report | None = None) -> None:
        await self._record("withdraw_intent", report=report and Jsonb(report))
        killpoint("run-after-withdraw")
        self._intent, self._may_hold_job = None, False
        self._moved.set()

    async def _record(self, name: str, **values: object) -> None:
        claim = self._claim
        params = {"id": claim.id, "run_token": claim.run_token, **values}
        if not await through_outage(lambda: self._services.db.run(name, params)):
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

    async def _order(self) -> Order:
        claim = self._claim
        references = [
            Reference(role=kept.role, mime_type=kept.mime_type, data=await self._services.store.get(kept.key))
            for kept in claim.spec.references
        ]
        return Order(id=claim.id, type=claim.type, model=claim.model, spec=claim.spec, references=tuple(references))


def _jittered(seconds: float) -> float:
    """Between half and one and a half of it, so that many runs do not call at once."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311  (not a secret)
