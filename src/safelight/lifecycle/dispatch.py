"""What one run says to backends: which is asked, in which order, and what may be repeated.

A backend is asked for a job once for each recorded intent. The next binding, or the same again, is asked only where the
answer says that nothing was taken.
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
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.media import Reference
from safelight.domain.outcomes import (
    Accepted,
    Completed,
    Failed,
    FailureClass,
    Handle,
    Pending,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Attempt, Cancelable, Findable, Pollable, Provider, Repeatable
from safelight.domain.request import Order
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.leases import LeaseLost, Leases
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

    asked: int = 0
    not_before: float = 0.0

    def declined(self, failure: Failed, now: float) -> None:
        pause = failure.retry_after_seconds or _jittered(_BACKOFF_SECONDS[self.asked])
        self.asked += 1
        is_over = self.asked == MAX_ROUNDS or failure.reason not in _WORTH_ANOTHER_ROUND
        self.not_before = math.inf if is_over else now + pause


class Dispatch:
    """What one run says to the backends of its generation."""

    def __init__(self, services: RunServices, leases: Leases, claim: Claim, workdir: Path) -> None:
        model = services.catalog.models.get(claim.model)
        self._bindings: tuple[Binding, ...] = model.bindings if model else ()
        self._services = services
        self._leases = leases
        self._claim = claim
        self._workdir = workdir
        self._binding_index = claim.binding
        self._is_intent_recorded = claim.is_intent_recorded
        self._may_hold_job = claim.was_submitted
        self._handle = claim.handle
        self.was_asked = False
        """Whether this runner gave a backend the order."""
        self._is_stopped = False
        self._moved = asyncio.Event()

    @property
    def provider(self) -> Provider:
        """The backend that is, or was last, asked."""
        return self._services.providers[self._bindings[self._binding_index].provider]

    async def outcome(self) -> Completed | Failed | Unknown:
        """Go on where the last runner stopped, to the end, or to where only waiting helps."""
        try:
            return await self._outcome()
        except (LeaseLost, ServiceUnavailable):
            raise
        except Exception as error:
            log.error("provider broke", id=self._claim.id, **without_message(error))
            return self._after_surprise()

    async def stopped(self) -> bool:
        """Ask the backend to stop, once there is a job to stop. True: it certainly stopped and made nothing."""
        if not self._is_bound:
            return False
        while self._may_hold_job and not _is_repeatable(self.provider):
            if self._handle is not None:
                return await self._cancel(self._handle)
            self._moved.clear()
            await self._moved.wait()
        self._is_stopped = True
        return True

    async def abandon(self) -> None:
        """At the deadline: ask the backend to stop, if there is a job that can be stopped."""
        if self._is_bound and self._handle is not None:
            await self._cancel(self._handle)

    @property
    def _is_bound(self) -> bool:
        return self._claim.binding < len(self._bindings)

    async def _outcome(self) -> Completed | Failed | Unknown:
        claim = self._claim
        if not self._is_bound:
            return Failed(FailureClass.PERMANENT, "the catalog no longer has this model, or this binding of it")
        if claim.attempts > MAX_ATTEMPTS:
            await self.abandon()
            return Failed(FailureClass.PERMANENT, f"{claim.attempts - 1} runners were lost on it")
        if claim.handle is not None:
            return await self._poll(claim.handle)
        if claim.was_submitted and not _is_repeatable(self.provider):
            found = await self._find()
            if found is not None:
                return found
        return await self._submit_somewhere()

    def _after_surprise(self) -> Failed | Unknown:
        """A surprise says nothing of whether the backend took the job."""
        if self._may_hold_job and not _is_repeatable(self.provider):
            return Unknown("a surprise")
        return Failed(FailureClass.PERMANENT, "a surprise")

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
        turns = [_Turn() for _ in self._bindings]
        failure, first = Failed(FailureClass.TRANSIENT, "no backend was asked"), self._binding_index
        while True:
            for index in range(first, len(turns)):
                if turns[index].not_before > time.monotonic():
                    continue
                if not self._services.breakers.allows(self._bindings[index].provider):
                    continue
                self._binding_index = index
                outcome = await self._submit()
                if not isinstance(outcome, Failed) or outcome.reason in _FINAL or self._handle is not None:
                    return outcome
                failure = outcome
                turns[index].declined(outcome, time.monotonic())
            first = 0
            pause = min(map(self._seconds_closed, range(len(turns)), turns))
            if pause == math.inf:
                return failure
            await asyncio.sleep(max(pause, _LEAST_PAUSE_SECONDS))

    def _seconds_closed(self, index: int, turn: _Turn) -> float:
        """How long a binding is not to be asked."""
        closed = self._services.breakers.seconds_closed(self._bindings[index].provider)
        return max(closed, turn.not_before - time.monotonic())

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
        name, breakers = self._bindings[self._binding_index].provider, self._services.breakers
        match outcome:
            case Failed(reason):
                log.warning("backend declined", id=self._claim.id, provider=name, reason=reason.value)
                # A request, or a model, that cannot be served says nothing against the provider's other models.
                if reason in _FINAL or reason is FailureClass.PERMANENT:
                    breakers.succeeded(name)
                else:
                    breakers.failed(name)
                await self._withdraw_intent()
                return outcome
            case Accepted(handle):
                breakers.succeeded(name)
                return await self._accepted(handle)
            case Completed():
                breakers.succeeded(name)
                return outcome
            case Unknown():
                breakers.failed(name)
                return outcome

    async def _call(self, order: Order) -> SubmitOutcome:
        """The one call that may cost money. Nothing stands between the check of the lease and it."""
        binding = self._bindings[self._binding_index]
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
            return await self.provider.submit(order, attempt)
        except Exception as error:
            log.error("provider broke in submit", id=self._claim.id, **without_message(error))
            return self._after_surprise()

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
        if self._is_intent_recorded and self._binding_index == self._claim.binding:
            return
        await self._record("record_intent", binding=self._binding_index)
        self._is_intent_recorded = True
        killpoint("run-after-intent")

    async def _withdraw_intent(self) -> None:
        await self._record("withdraw_intent")
        killpoint("run-after-withdraw")
        self._is_intent_recorded = self._may_hold_job = False
        self._moved.set()

    async def _record(self, name: str, **values: object) -> None:
        claim = self._claim
        params = {"id": claim.id, "run_token": claim.run_token, **values}
        if not await through_outage(lambda: self._services.db.run(name, params)):
            raise LeaseLost

    async def _order(self) -> Order:
        claim = self._claim
        references = [
            Reference(role=kept.role, mime_type=kept.mime_type, data=await self._services.store.get(kept.key))
            for kept in claim.spec.references
        ]
        return Order(id=claim.id, type=claim.type, model=claim.model, spec=claim.spec, references=tuple(references))


def _is_repeatable(provider: Provider) -> bool:
    return isinstance(provider, Repeatable) and provider.repeatable


def _jittered(seconds: float) -> float:
    """Between half and one and a half of it, so that many runs do not call at once."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311  (not a secret)
