"""Making an image while somebody waits: accept it, run it here, and tell how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    GenerationUnknown,
    InvalidParameter,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.generations import GenerationType, State
from safelight.lifecycle.accept import Accepted
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.services import SubmitServices, ViewServices
from safelight.lifecycle.submit import Submission, submit
from safelight.lifecycle.views import GenerationView, ended_view, note_seen, view_of_completed

_ERROR_OF_CODE: dict[str | None, type[SafelightError]] = {
    error.code: error for error in (ContentPolicyViolation, GenerationFailed, InvalidParameter, ServiceUnavailable)
}


class Made(msgspec.Struct, frozen=True):
    """How the request was accepted, and how it ended: well or badly."""

    accepted: Accepted
    view: GenerationView

    @property
    def error(self) -> SafelightError | None:
        """What it failed with; None where the image is there."""
        if self.view.state is State.COMPLETED:
            return None
        return _ERROR_OF_CODE.get(self.view.error_code, GenerationFailed)(self.view.error_message)


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
    found = await _run_here(viewing, runner, accepted, has_left)
    if found is None:
        workspace_id, waits = submission.principal.workspace_id, accepted.is_replay
        found = await ended_view(viewing, workspace_id, accepted.id, GenerationType.IMAGE, waits=waits)
    await note_seen(viewing, found, seen=not has_left())
    if not found.state.is_final:
        raise GenerationUnknown(
            f"The outcome of {accepted.id} is not known yet. Nothing is lost: ask for it by this id."
        )
    return Made(accepted, found)


async def _run_here(
    viewing: ViewServices, runner: Runner, accepted: Accepted, has_left: Callable[[], bool]
) -> GenerationView | None:
    """Run it if it is ours to run; the image if it is completed, so that it need not be read back."""
    if accepted.claim is None:
        return None
    run = runner.start(accepted.claim, is_unseen=has_left)
    await asyncio.wait([run])
    made = None if run.cancelled() or run.exception() else run.result()
    return None if made is None else view_of_completed(viewing, made)
