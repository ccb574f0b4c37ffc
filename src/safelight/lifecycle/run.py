"""Step two: run one generation, from its claim to its end.

The intent to call a backend is committed before the call and its job handle right after it, so that a crash at any
point leaves a row that says what may have happened. Outcomes are matched once, here.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog
from psycopg.types.json import Jsonb

from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    InvalidParameter,
    SafelightError,
)
from safelight.domain.media import Reference
from safelight.domain.orders import Order
from safelight.domain.outcomes import (
    Accepted,
    Completed,
    Failed,
    FailureClass,
    Handle,
    Pending,
    PollOutcome,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Attempt, Pollable, Provider, Repeatable
from safelight.lifecycle import settle
from safelight.lifecycle.claims import Claim, ClaimedRow
from safelight.lifecycle.deliver import deliver
from safelight.lifecycle.leases import LeaseLost, Leases
from safelight.lifecycle.services import Services

log = structlog.get_logger()

_POLL_SECONDS = 2.0


async def claim(services: Services, generation_id: str) -> Claim | None:
    """Take a generation to run. None: it has ended, or somebody else is running it."""
    params = {
        "id": generation_id,
        "run_token": uuid.uuid4(),
        "lease_seconds": services.limits.lease_seconds,
    }
    row = await services.db.one("claim", params, ClaimedRow)
    return row.claim() if row else None


async def run(
    services: Services, leases: Leases, claim: Claim, *, is_unseen: Callable[[], bool] = lambda: False
) -> None:
    """Run a claimed generation to its end. ``is_unseen`` is asked at the end whether anybody still waits for it.

    Losing the lease stops the run without a trace; whoever holds it now goes on.
    """
    async with leases.held(claim.id, claim.run_token), _workdir(services, claim) as workdir:
        try:
            async with asyncio.timeout(max(claim.remaining_seconds, 0)):
                await _run(services, leases, claim, workdir, is_unseen)
        except LeaseLost:
            log.warning("run lost its lease", id=claim.id)
        except TimeoutError:
            log.warning("generation passed its deadline", id=claim.id)
            await settle.fail(services, claim, GenerationFailed(), unseen=is_unseen())
        except SafelightError as error:
            log.warning("generation failed", id=claim.id, code=error.code, detail=error.message)
            await settle.fail(services, claim, _told(error), unseen=is_unseen())
        except Exception:
            log.exception("generation broke", id=claim.id)
            await settle.fail(services, claim, GenerationFailed(), unseen=is_unseen())


async def _run(services: Services, leases: Leases, claim: Claim, workdir: Path, is_unseen: Callable[[], bool]) -> None:
    outcome = await _until_done(services, leases, claim, workdir)
    if isinstance(outcome, Failed):
        raise _error_of(outcome)
    files = await deliver(services, claim, outcome.media, workdir)
    if await settle.complete(services, claim, files, unseen=is_unseen()) is None:
        raise LeaseLost


async def _until_done(services: Services, leases: Leases, claim: Claim, workdir: Path) -> Completed | Failed:
    model = services.catalog.models.get(claim.model)
    if model is None or claim.binding >= len(model.bindings):
        return Failed(FailureClass.PERMANENT, "the catalog no longer has this model")
    binding = model.bindings[claim.binding]
    provider = services.providers[binding.provider]
    if claim.handle is not None:
        return await _poll(leases, claim, provider, claim.handle)
    if claim.was_submitted and not (isinstance(provider, Repeatable) and provider.repeatable):
        return Failed(FailureClass.TRANSIENT, "the runner was lost while it called the backend")
    if not claim.is_intent_recorded:
        await _record(services, "record_intent", claim, binding=claim.binding)
    order = await _order(services, claim)
    attempt = Attempt(
        upstream_model=binding.upstream_model,
        options=binding.options,
        workdir=workdir,
        progress=lambda fraction: leases.note_progress(claim.id, fraction),
    )
    outcome: SubmitOutcome = await provider.submit(order, attempt)
    match outcome:
        case Completed() | Failed():
            return outcome
        case Accepted(handle):
            await _record(services, "record_handle", claim, handle=Jsonb(handle))
            return await _poll(leases, claim, provider, handle)
        case Unknown(detail):
            return Failed(FailureClass.TRANSIENT, detail)


async def _poll(leases: Leases, claim: Claim, provider: Provider, handle: Handle) -> Completed | Failed:
    if not isinstance(provider, Pollable):
        return Failed(FailureClass.PERMANENT, "the backend gave a job that cannot be asked about")
    while True:
        outcome: PollOutcome = await provider.poll(handle)
        match outcome:
            case Completed() | Failed():
                return outcome
            case Pending(progress, poll_after_seconds):
                if progress is not None:
                    leases.note_progress(claim.id, progress)
                await asyncio.sleep(poll_after_seconds or _POLL_SECONDS)
            case Unknown():
                await asyncio.sleep(_POLL_SECONDS)


async def _record(services: Services, name: str, claim: Claim, **values: object) -> None:
    params = {"id": claim.id, "run_token": claim.run_token, **values}
    if not await services.db.run(name, params):
        raise LeaseLost


async def _order(services: Services, claim: Claim) -> Order:
    spec = claim.spec
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
        references=tuple(
            [
                Reference(role=kept.role, mime_type=kept.mime_type, data=await services.store.get(kept.key))
                for kept in spec.references
            ]
        ),
    )


@contextlib.asynccontextmanager
async def _workdir(services: Services, claim: Claim) -> AsyncIterator[Path]:
    path = services.work_dir / f"{claim.id}-{claim.run_token.hex[:8]}"
    path.mkdir()
    try:
        yield path
    finally:
        try:
            path.rmdir()  # the usual case: what was in it has moved into the store
        except OSError:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


def _error_of(failure: Failed) -> SafelightError:
    """What a client is told. A backend's own words stay in the log."""
    log.warning("backend failed", reason=failure.reason.value, detail=failure.detail)
    match failure.reason:
        case FailureClass.CONTENT_POLICY:
            return ContentPolicyViolation()
        case FailureClass.BAD_INPUT:
            return InvalidParameter("The backend does not take this combination of prompt, images and options.")
        case _:
            return GenerationFailed()


def _told(error: SafelightError) -> SafelightError:
    """The error as a client may see it: only refusals keep their words."""
    return error if isinstance(error, ContentPolicyViolation | InvalidParameter) else GenerationFailed()
