"""Making an image while somebody waits: accept it, run it here, and tell how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    GenerationUnknown,
    ImageGoesOn,
    InvalidParameter,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.generations import GenerationType, State
from safelight.lifecycle.accept import Accepted
from safelight.lifecycle.runner import Runner, RunTask
from safelight.lifecycle.services import SubmitServices, ViewServices
from safelight.lifecycle.submit import Submission, key_use, part_of, submit
from safelight.lifecycle.views import GenerationView, ended_view, note_seen, view, view_of_completed

_ERROR_OF_CODE: dict[str | None, type[SafelightError]] = {
    error.code: error for error in (ContentPolicyViolation, GenerationFailed, InvalidParameter, ServiceUnavailable)
}


_LOOK_SECONDS = 0.5
_ENDING_SECONDS = 5.0
"""A run that passes its deadline is ended within that."""
_OUTAGE_SECONDS = 4.0
"""Nobody waits longer for what a run has to write and the database does not take."""
_AGAIN_SECONDS = 2.0


class Made(msgspec.Struct, frozen=True):
    """How the request was accepted, and how it ended: well or badly.

    ``is_final``: the same request under its idempotency key comes to the same end.
    """

    accepted: Accepted
    view: GenerationView
    is_final: bool

    @property
    def error(self) -> SafelightError | None:
        """What it failed with; None where the image is there."""
        if self.view.state is State.COMPLETED:
            return None
        return _ERROR_OF_CODE.get(self.view.error_code, GenerationFailed)(self.view.error_message)


class Started(msgspec.Struct, frozen=True):
    """An image that was accepted. ``run``: ours; None where it is somebody else's.

    ``given_up`` is set once nobody waits here for the end of the run.
    """

    accepted: Accepted
    run: RunTask | None
    given_up: asyncio.Event


async def make_image(
    submitting: SubmitServices,
    viewing: ViewServices,
    runner: Runner,
    submission: Submission,
    *,
    has_left: Callable[[], bool] = lambda: False,
) -> Made:
    """Accept an image, and wait for its end. The work goes on if whoever asked leaves meanwhile (``has_left``).

    Raises what ``submit`` raises, and ``GenerationUnknown`` where the time for an image is up before its end.
    """
    accepted = await submit(submitting, submission, has_left=has_left)
    return await outcome(submitting, viewing, runner, submission, accepted, has_left=has_left)


async def outcome(
    submitting: SubmitServices,
    viewing: ViewServices,
    runner: Runner,
    submission: Submission,
    accepted: Accepted,
    *,
    has_left: Callable[[], bool] = lambda: False,
) -> Made:
    """How an image that was accepted ended: run here, or waited for where another request runs it.

    Raises ``GenerationUnknown`` where the time for an image is up before its end, or whoever asked has left, and its
    kind ``ImageGoesOn`` where a repeat of the request gets it.
    """
    started = start(runner, accepted, is_unseen=has_left)
    found = await _end(submitting, viewing, runner, submission, started, has_left=has_left)
    await note_seen(viewing, found, seen=not has_left())
    _refuse_unknown(found)
    return Made(accepted, found, is_final=await _is_final(submitting, submission, found))


def start(runner: Runner, accepted: Accepted, *, is_unseen: Callable[[], bool] = lambda: True) -> Started:
    """Run an image that was accepted just now, if it is ours to run: from here on it goes on whoever leaves.

    Whoever accepts several starts them before anything else: an image that nobody runs is on record as one that a
    backend may have. ``is_unseen`` is asked at the end of a run whether nobody will have been told of it.
    """
    given_up = asyncio.Event()
    if accepted.claim is None:
        return Started(accepted, None, given_up)
    run = runner.start(accepted.claim, is_unseen=lambda: is_unseen() or given_up.is_set())
    return Started(accepted, run, given_up)


async def outcomes(
    submitting: SubmitServices,
    viewing: ViewServices,
    runner: Runner,
    submission: Submission,
    started: Sequence[Started],
    *,
    has_left: Callable[[], bool] = lambda: False,
) -> list[Made]:
    """How the images of one request ended, in the order in which they were asked for.

    None of them is seen before ``note_all_seen``: until then a repeat of the request joins each. Raises
    ``GenerationUnknown`` where the end of any of them is not known in time, or whoever asked has left.
    """
    ends = await asyncio.gather(
        *(_end(submitting, viewing, runner, submission, each, has_left=has_left) for each in started),
        return_exceptions=True,
    )
    if trouble := next((end for end in ends if isinstance(end, BaseException)), None):
        raise trouble
    found = [end for end in ends if isinstance(end, GenerationView)]
    for each in found:
        _refuse_unknown(each)
    final = await asyncio.gather(
        *(_is_final(submitting, part_of(submission, index), each) for index, each in enumerate(found))
    )
    accepted = (each.accepted for each in started)
    return [Made(*made) for made in zip(accepted, found, final, strict=True)]


async def note_all_seen(viewing: ViewServices, made: Sequence[Made]) -> None:
    """Record that a client is being told of these: a repeat of their request makes others."""
    await note_seen(viewing, *(each.view for each in made if each.error is None))


async def _end(
    submitting: SubmitServices,
    viewing: ViewServices,
    runner: Runner,
    submission: Submission,
    started: Started,
    *,
    has_left: Callable[[], bool],
) -> GenerationView:
    workspace_id = submission.principal.workspace_id
    deadline_seconds = submitting.limits.deadline_seconds(submitting.catalog.models[submission.request.model])
    ends_at = time.monotonic() + deadline_seconds + _ENDING_SECONDS
    found = await _run_here(viewing, runner, started, workspace_id, has_left, ends_at)
    if found is None:

        def waits() -> bool:
            return not (has_left() or runner.is_closed)

        wait_seconds = ends_at - time.monotonic()
        try:
            found = await ended_view(
                viewing, workspace_id, started.accepted.id, GenerationType.IMAGE, wait_seconds=wait_seconds, waits=waits
            )
        except ServiceUnavailable:
            raise _not_written(started.accepted) from None
        if runner.is_closed and not found.state.is_final:
            raise _goes_on(started.accepted)
    return found


def _refuse_unknown(found: GenerationView) -> None:
    if found.state is State.UNKNOWN:
        raise GenerationUnknown(f"The outcome of {found.id} is not known yet. Nothing is lost: ask for it by this id.")
    if not found.state.is_final:
        raise ImageGoesOn(
            f"{found.id} takes longer, and goes on. Ask for it by this id, or repeat the request to get it."
        )


async def _run_here(
    viewing: ViewServices,
    runner: Runner,
    started: Started,
    workspace_id: int,
    has_left: Callable[[], bool],
    ends_at: float,
) -> GenerationView | None:
    """Wait for its run, if that is ours; the image if it is completed, so that it need not be read back.

    None where it is somebody else's to end, and worth waiting for: an earlier attempt's, or another runner's who took
    it over.
    """
    run, id_ = started.run, started.accepted.id
    if run is None:
        return None
    while not run.done() and not has_left() and time.monotonic() < ends_at:
        if runner.unwritten_seconds(id_) > _OUTAGE_SECONDS:
            started.given_up.set()
            raise _not_written(started.accepted)
        await asyncio.wait([run], timeout=_LOOK_SECONDS)
    if not run.done():  # nobody waits; or it is made, and not to be stored yet: it goes on, and a repeat joins it
        started.given_up.set()
        return None
    if run.cancelled() and runner.is_closing:
        raise _goes_on(started.accepted)
    made = None if run.cancelled() or run.exception() else run.result()
    if made is not None:
        return view_of_completed(viewing, made)
    try:
        found = await view(viewing, workspace_id, id_, GenerationType.IMAGE)
    except ServiceUnavailable:
        started.given_up.set()
        raise _not_written(started.accepted) from None
    return found if found.state.is_final or found.state is State.UNKNOWN else None


def _not_written(accepted: Accepted) -> ImageGoesOn:
    return ImageGoesOn(
        f"The database is away. {accepted.id} goes on, and is charged once at most: repeat the request to get it.",
        retry_after_seconds=_AGAIN_SECONDS,
    )


def _goes_on(accepted: Accepted) -> ImageGoesOn:
    return ImageGoesOn(f"This server is stopping. {accepted.id} is made all the same: repeat the request to get it.")


async def _is_final(services: SubmitServices, submission: Submission, ended: GenerationView) -> bool:
    """Whether its idempotency key stands for how it ended. A failure of ours uses up none (``settle``)."""
    if submission.idempotency_key is None:
        return False
    if ended.state is State.COMPLETED:
        return True
    used_for = await key_use(services, submission.principal.workspace_id, submission.idempotency_key)
    return used_for is not None and used_for.generation_id == ended.id
