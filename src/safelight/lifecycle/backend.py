"""What one run says to backends: which is asked, in which order, and what may be repeated.

A backend is asked for a job once for each recorded intent. The next binding, or the same again, is asked only where the
answer says that nothing was taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from pathlib import Path

import structlog
from psycopg.types.json import Jsonb

from safelight.domain.catalog import Binding
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.media import Reference
from safelight.domain.orders import Order
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
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.killpoints import killpoint
from safelight.lifecycle.leases import LeaseLost, Leases
from safelight.lifecycle.persist import persist
from safelight.lifecycle.services import Services

log = structlog.get_logger()

MAX_ROUNDS = 4
MAX_ATTEMPTS = 5
_POLL_SECONDS = (0.5, 1, 2, 3, 5)
_BACKOFF_SECONDS = (1, 4, 15, 60)
_CANCEL_SECONDS = 10.0

# The client's own doing: no other backend would answer better.
_FINAL = (FailureClass.CONTENT_POLICY, FailureClass.BAD_INPUT, FailureClass.CANCELED)
_WORTH_ANOTHER_ROUND = (FailureClass.TRANSIENT, FailureClass.RATE_LIMITED)


class Backend:
    """The backends of one claimed generation."""

    def __init__(self, services: Services, leases: Leases, claim: Claim, workdir: Path) -> None:
        model = services.catalog.models.get(claim.model)
        self._bindings: tuple[Binding, ...] = model.bindings if model else ()
        self._services = services
        self._leases = leases
        self._claim = claim
        self._workdir = workdir
        self._binding_index = claim.binding
        self._is_intent_recorded = claim.is_intent_recorded
        self._handle = claim.handle
        self._handle_is_known = asyncio.Event()
        if claim.handle is not None:
            self._handle_is_known.set()

    async def outcome(self) -> Completed | Failed | Unknown:
        """Go on where the last runner stopped, to the end, or to where only waiting helps."""
        try:
            return await self._outcome()
        except (LeaseLost, ServiceUnavailable):
            raise
        except Exception as error:
            # A surprise says nothing of whether the backend took the job.
            log.exception("provider broke", id=self._claim.id)
            if self._handle is None and (_is_repeatable(self.provider) or not self._is_intent_recorded):
                return Failed(FailureClass.PERMANENT, repr(error))
            return Unknown(repr(error))

    async def _outcome(self) -> Completed | Failed | Unknown:
        claim = self._claim
        if claim.binding >= len(self._bindings):
            return Failed(FailureClass.PERMANENT, "the catalog no longer has this model, or this binding of it")
        if claim.attempts > MAX_ATTEMPTS and claim.handle is None and not claim.is_unknown:
            return Failed(FailureClass.PERMANENT, f"{claim.attempts - 1} runners were lost on it")
        if claim.handle is not None:
            return await self._poll(claim.handle)
        if claim.was_submitted and not _is_repeatable(self.provider):
            found = await self._find()
            if found is not None:
                return found
        return await self._submit_somewhere()

    async def stopped(self) -> bool:
        """Ask the backend to stop, once there is a job to stop. True: it certainly stopped and made nothing."""
        if _is_repeatable(self.provider):
            return True
        await self._handle_is_known.wait()
        if not isinstance(self.provider, Cancelable) or self._handle is None:
            return False
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self.provider.cancel(self._handle), _CANCEL_SECONDS)
        return False

    async def abandon(self) -> None:
        """At the deadline: ask the backend to stop, if there is a job that can be stopped."""
        if self._handle is not None:
            with contextlib.suppress(Exception):
                await self.stopped()

    @property
    def provider(self) -> Provider:
        """The backend that is asked now."""
        return self._services.providers[self._bindings[self._binding_index].provider]

    async def _submit_somewhere(self) -> Completed | Failed | Unknown:
        """Try each binding in order; when all have declined for now, wait and go round again."""
        first = self._binding_index
        failure = Failed(FailureClass.TRANSIENT, "no backend was asked")
        for round_ in range(MAX_ROUNDS):
            for index in range(first, len(self._bindings)):
                self._binding_index = index
                outcome = await self._submit()
                if not isinstance(outcome, Failed) or outcome.reason in _FINAL or self._handle is not None:
                    return outcome
                failure = outcome
            first = 0
            if failure.reason not in _WORTH_ANOTHER_ROUND or round_ == MAX_ROUNDS - 1:
                break
            await asyncio.sleep(failure.retry_after_seconds or _jittered(_BACKOFF_SECONDS[round_]))
        return failure

    async def _submit(self) -> Completed | Failed | Unknown:
        name, breakers = self._bindings[self._binding_index].provider, self._services.breakers
        if not breakers.allows(name):
            return Failed(FailureClass.TRANSIENT, f"{name} keeps failing and is left alone for now")
        await self._record_intent()
        outcome = await self._call()
        killpoint("run-after-submit")
        match outcome:
            case Failed():
                log.warning("backend declined", id=self._claim.id, provider=name, reason=outcome.reason.value)
                log.info("backend's own words", id=self._claim.id, detail=outcome.detail[:500])
                if outcome.reason not in _FINAL:
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

    async def _call(self) -> SubmitOutcome:
        binding = self._bindings[self._binding_index]
        attempt = Attempt(
            upstream_model=binding.upstream_model,
            options=binding.options,
            workdir=self._workdir,
            progress=lambda fraction: self._leases.note_progress(self._claim.id, fraction),
        )
        order = await self._order()
        return await self.provider.submit(order, attempt)

    async def _accepted(self, handle: Handle) -> Completed | Failed | Unknown:
        await self._record("record_handle", handle=Jsonb(handle))
        killpoint("run-after-handle")
        self._handle = handle
        self._handle_is_known.set()
        return await self._poll(handle)

    async def _poll(self, handle: Handle) -> Completed | Failed | Unknown:
        provider = self.provider
        if not isinstance(provider, Pollable):
            return Failed(FailureClass.PERMANENT, "the backend gave a job that cannot be asked about")
        for count in itertools.count():
            outcome = await provider.poll(handle)
            match outcome:
                case Completed() | Failed():
                    killpoint("run-after-poll")
                    return outcome
                case Pending(progress):
                    if progress is not None:
                        self._leases.note_progress(self._claim.id, progress)
            asked = outcome.poll_after_seconds if isinstance(outcome, Pending) else None
            await asyncio.sleep(asked or _jittered(_POLL_SECONDS[min(count, len(_POLL_SECONDS) - 1)]))
        raise AssertionError  # counting does not end

    async def _find(self) -> Completed | Failed | Unknown | None:
        """Ask a backend whether it has a job of ours. None: it certainly has not."""
        provider = self.provider
        if not isinstance(provider, Findable):
            return Unknown("the backend cannot be asked for a job by our id")
        match await provider.find(self._claim.id):
            case Accepted(handle):
                return await self._accepted(handle)
            case None:
                await self._withdraw_intent()
                return None
            case Completed() | Failed() | Unknown() as outcome:
                return outcome

    async def _record_intent(self) -> None:
        if self._is_intent_recorded and self._binding_index == self._claim.binding:
            return
        await self._record("record_intent", binding=self._binding_index)
        self._is_intent_recorded = True
        killpoint("run-after-intent")

    async def _withdraw_intent(self) -> None:
        await self._record("withdraw_intent")
        self._is_intent_recorded = False

    async def _record(self, name: str, **values: object) -> None:
        claim = self._claim
        params = {"id": claim.id, "run_token": claim.run_token, **values}
        if not await persist(lambda: self._services.db.run(name, params)):
            raise LeaseLost

    async def _order(self) -> Order:
        claim, spec = self._claim, self._claim.spec
        references = [
            Reference(role=kept.role, mime_type=kept.mime_type, data=await self._services.store.get(kept.key))
            for kept in spec.references
        ]
        return Order(
            id=claim.id,
            type=claim.type,
            model=claim.model,
            prompt=spec.prompt,
            aspect_ratio=spec.aspect_ratio,
            resolution=spec.resolution,
            width=spec.width,
            height=spec.height,
            output_format=spec.output_format,
            duration_seconds=spec.duration_seconds,
            sound=spec.sound,
            references=tuple(references),
        )


def _is_repeatable(provider: Provider) -> bool:
    return isinstance(provider, Repeatable) and provider.repeatable


def _jittered(seconds: float) -> float:
    """Between half and one and a half of it, so that many runs do not call at once."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311  (not a secret)
