"""What happened to a job and when, from what is on record; what has no recorded time is not in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from safelight.dashboard.templates import usd
from safelight.domain.generations import State
from safelight.domain.outcomes import Report
from safelight.keeping.receipts import FileRecord
from safelight.lifecycle.job_views import DeliveredEvent, JobRecord, Transfer
from safelight.lifecycle.views import GenerationView

_ENDS = {
    State.COMPLETED: "Delivered and settled",
    State.FAILED: "Failed and settled",
    State.CANCELED: "Canceled and settled",
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """``after_seconds``: since the job was accepted. ``is_ahead``: it is yet to come."""

    at: datetime
    name: str
    text: str = ""
    after_seconds: float = 0.0
    is_ahead: bool = False


def timeline(
    view: GenerationView,
    record: JobRecord,
    *,
    transfers: Sequence[Transfer],
    told: Sequence[DeliveredEvent],
    files: Sequence[FileRecord],
    reports: Iterable[Report],
    now: datetime,
) -> list[Step]:
    """The steps by time. ``reports``: what backends said, for an operator alone."""
    steps = [
        *_of_the_run(view, record, transfers),
        *_of_backends(reports),
        *_of_events(told),
        *_of_files(view, files),
    ]
    dated = (
        msgspec.structs.replace(
            each, after_seconds=(each.at - record.created_at).total_seconds(), is_ahead=each.at > now
        )
        for each in steps
    )
    return sorted(dated, key=lambda each: each.at)


def _of_the_run(view: GenerationView, record: JobRecord, transfers: Sequence[Transfer]) -> Iterator[Step]:
    yield Step(at=record.created_at, name="Accepted", text=f"{usd(record.held_nanos)} held")
    if record.submitted_at is not None:
        earlier = f", after {record.tries} that came to nothing" if record.tries else ""
        yield Step(at=record.submitted_at, name="Submitted", text=f"a backend was asked{earlier}")
    if record.cancel_requested_at is not None:
        yield Step(at=record.cancel_requested_at, name="Cancellation asked for")
    if record.finished_at is None:
        yield Step(at=record.deadline, name="Deadline", text="what is not done by then fails, and nothing is charged")
        return
    released_nanos = sum(each.available_nanos for each in transfers if each.kind == "settle")
    text = f"{usd(record.charged_nanos)} charged, {usd(released_nanos)} released"
    yield Step(at=record.finished_at, name=_ENDS[view.state], text=text)


def _of_backends(reports: Iterable[Report]) -> Iterator[Step]:
    for report in reports:
        yield Step(at=report.at, name=f"Backend: {report.outcome}", text=report.connection or "none was asked")


def _of_events(told: Sequence[DeliveredEvent]) -> Iterator[Step]:
    for each in told:
        if each.ended_at is not None:
            name = "Webhook delivered" if each.state == "delivered" else "Webhook given up"
            yield Step(at=each.ended_at, name=name, text=f"{each.type} to {each.url}")


def _of_files(view: GenerationView, files: Sequence[FileRecord]) -> Iterator[Step]:
    gone = [each.deleted_at for each in files if each.deleted_at is not None]
    if gone and len(gone) == len(files):
        yield Step(at=max(gone), name="Media deleted", text="its absence was seen")
    elif view.deletes_at is not None:
        yield Step(at=view.deletes_at, name="Media is deleted", text="with the prompt and the parameters")
