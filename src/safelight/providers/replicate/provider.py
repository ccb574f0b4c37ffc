"""The port, spoken to Replicate's HTTP API. Each order is a prediction, and each prediction is asked about."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from safelight.domain.catalog import Binding, Model
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    CannotTell,
    Failed,
    FailureClass,
    Finding,
    FindOutcome,
    Found,
    Handle,
    Pending,
    PollOutcome,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Asked, Callback, Host, Job, ProviderKind
from safelight.domain.request import Order
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import BackendApi, NoReply, NotSent, Reply, not_told
from safelight.providers.replicate.callbacks import Signatures
from safelight.providers.replicate.check import findings_of
from safelight.providers.replicate.failures import refusal_of
from safelight.providers.replicate.inputs import clients_own, input_of
from safelight.providers.replicate.predictions import (
    ENDED,
    Page,
    Prediction,
    answer_of,
    created_before,
    page_in,
    prediction_in,
    state_of,
)
from safelight.providers.replicate.settings import Options, Settings, Target, check_binding, target_of

_ASKING_SECONDS = 20.0
_BATCH_SECONDS = 8.0
"""Less for each, as all of a batch has less than a minute."""
_CANCEL_SECONDS = 8.0
_LIST_BYTES = 32 * 1024 * 1024
_MOST_PAGES = 10
_BATCH_PAGES = 3
_MOST_SINGLY, _AT_ONCE = 24, 8
"""So many of a batch are asked about by themselves, that are not in the list."""
_CLOCKS_DIFFER = timedelta(minutes=5)


class ReplicateProvider:
    """The hosted API, or one that is like it. Holding a request until its prediction is done is never asked for."""

    poll_batch = 100

    def __init__(self, settings: Settings, key: str, webhook_key: str | None) -> None:
        self._settings = settings
        self._api = BackendApi(settings, {"Authorization": f"Bearer {key}"})
        self._absences = Absences()
        self._signatures = Signatures(self._api, webhook_key)

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._signatures.secrets

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        target = target_of(job.upstream_model)
        if target is None:
            return Failed(FailureClass.PERMANENT, f"model: {job.upstream_model!r} names nothing there")
        given = await input_of(order, job, api=self._api, settings=self._settings)
        if isinstance(given, Failed):
            return given
        reply = await self._api.call(
            "POST", target.orders_path, json=self._body(target, given, job), headers=self._headers()
        )
        match reply:
            case NotSent():
                return reply.failed()
            case NoReply():
                return await self._looked_for(job, reply.unknown())
            case Reply() if reply.is_ok:
                return await self._taken(reply, job)
            case Reply():
                own = clients_own(order.spec.provider_options, job.options, self._settings)
                refused = refusal_of(reply, self._settings, own)
                return refused if isinstance(refused, Failed) else await self._looked_for(job, refused)

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        return await self._asked(handle, job, _ASKING_SECONDS)

    async def poll_many(self, asked: Sequence[Asked]) -> Sequence[PollOutcome]:
        """Several are looked for in the list of all, which tells no logs.

        Of those that are not in it, as many as there is time for are asked about one by one: others each time.
        """
        jobs = {each.handle["id"]: each for each in asked}
        if len(jobs) < 2:
            return [await self.poll(each.handle, each.job) for each in jobs.values()] * len(asked)
        told = await self._listed(jobs)
        if isinstance(told, Pending):
            return [told] * len(asked)
        missing = [id_ for id_ in jobs if id_ not in told]
        chosen = random.sample(missing, min(len(missing), _MOST_SINGLY))
        slots = asyncio.Semaphore(_AT_ONCE)

        async def alone(each: Asked) -> PollOutcome:
            async with slots:
                return await self._asked(each.handle, each.job, _BATCH_SECONDS)

        told |= zip(chosen, await asyncio.gather(*(alone(jobs[id_]) for id_ in chosen)), strict=True)
        not_asked = Unknown("it is not in the list, and was not asked about by itself this time")
        return [told.get(each.handle["id"], not_asked) for each in asked]

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        """One that ran is charged for, and one that did not run is not: its status then is another."""
        reply = await self._api.call("POST", f"{_path(handle)}/cancel", deadline_seconds=_CANCEL_SECONDS)
        if not isinstance(reply, Reply) or reply.status == 429 or reply.status >= 500:
            return Cancellation.ASKED
        prediction = prediction_in(reply) if reply.is_ok else None
        match "" if prediction is None else prediction.word:
            case "aborted":
                return Cancellation.FREE
            case "canceled":
                return Cancellation.BILLED
            case "succeeded" | "failed":
                return Cancellation.TOO_LATE
            case _:
                return Cancellation.ASKED if reply.is_ok else Cancellation.TOO_LATE

    async def find(self, job: Job[Options]) -> FindOutcome:
        """Look for the prediction that calls back to this job's own address. One that is not listed proves nothing."""
        found = await self._marked(job)
        return found if isinstance(found, CannotTell) else Found(Accepted({"id": found.id}))

    async def hint(self, callback: Callback) -> bool:
        return self._settings.callbacks and await self._signatures.is_news(callback)

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        return await findings_of(self._api, model, binding)

    async def close(self) -> None:
        await self._api.close()

    def _body(self, target: Target, given: dict[str, Any], job: Job[Options]) -> dict[str, Any]:
        body: dict[str, Any] = {"input": given}
        if target.version is not None:
            body["version"] = target.version
        if self._settings.callbacks:
            body |= {"webhook": job.callback_url, "webhook_events_filter": ["completed"]}
        return body

    def _headers(self) -> dict[str, str]:
        seconds = self._settings.cancel_after_seconds
        return {} if seconds is None else {"Cancel-After": f"{seconds}s"}

    async def _taken(self, reply: Reply, job: Job[Options]) -> SubmitOutcome:
        """What a 2xx means: a prediction, whose output is asked for later, when it is whole for sure."""
        prediction = prediction_in(reply)
        if prediction is None:
            return await self._looked_for(job, Unknown("the answer is no prediction", reply.answer()))
        if prediction.word in ENDED - {"succeeded"}:
            ended = self._state(prediction, reply, job)
            if isinstance(ended, Failed):
                return ended
        return Accepted({"id": prediction.id}, answer_of(prediction, reply))

    def _state(self, prediction: Prediction, reply: Reply, job: Job[Options]) -> PollOutcome:
        return state_of(prediction, reply, job=job, api=self._api, settings=self._settings)

    def _not_told(self, reply: Reply, job: Job[Options]) -> PollOutcome:
        if reply.status not in (404, 410):
            self._absences.forget(job.id)
            return not_told(reply)
        return self._absences.missed(job.id, reply.answer(), noun="prediction")

    async def _asked(self, handle: Handle, job: Job[Options], seconds: float) -> PollOutcome:
        reply = await self._api.call("GET", _path(handle), deadline_seconds=seconds)
        if not isinstance(reply, Reply):
            return Unknown(reply.detail)
        if not reply.is_ok:
            return self._not_told(reply, job)
        prediction = prediction_in(reply)
        if prediction is None or prediction.id != handle["id"]:
            return Unknown("the answer is not the prediction that was asked about", reply.answer())
        self._absences.forget(job.id)
        return self._state(prediction, reply, job)

    async def _looked_for(self, job: Job[Options], unknown: Unknown) -> SubmitOutcome:
        """What became of an order whose answer leaves it open. It may be on its way still."""
        found = await self._marked(job)
        return unknown if isinstance(found, CannotTell) else Accepted({"id": found.id}, unknown.answer)

    async def _marked(self, job: Job[Options]) -> Prediction | CannotTell:
        if not self._settings.callbacks:
            return CannotTell("nothing in a prediction tells whose it is, unless callbacks is set")
        mark, since, cursor = _mark(job.callback_url), job.submitted_at - _CLOCKS_DIFFER, None
        for _ in range(_MOST_PAGES):
            page, reply = await self._page(since, cursor)
            if page is None:
                detail = reply.detail if not isinstance(reply, Reply) else "it does not list its predictions"
                return CannotTell(detail)
            for prediction in page.predictions:
                if isinstance(prediction.webhook, str) and _mark(prediction.webhook) == mark:
                    return prediction
            cursor = page.cursor
            if cursor is None or any(created_before(each, since) for each in page.predictions):
                break
        return CannotTell("no prediction in its list calls back to this job's address")

    async def _listed(self, jobs: Mapping[str, Asked]) -> dict[str, PollOutcome] | Pending:
        """How those stand that the newest pages of the list tell, by their ids; ``Pending``: it is to be left alone."""
        since, cursor = min(each.job.submitted_at for each in jobs.values()) - _CLOCKS_DIFFER, None
        told: dict[str, PollOutcome] = {}
        for _ in range(_BATCH_PAGES):
            page, reply = await self._page(since, cursor)
            if page is None or not isinstance(reply, Reply):
                if isinstance(reply, Reply) and reply.status == 429:
                    return Pending(poll_after_seconds=reply.retry_after_seconds(), answer=reply.answer())
                break
            for each in page.predictions:
                if each.id in jobs and _is_told(each):
                    self._absences.forget(jobs[each.id].job.id)
                    told[each.id] = self._state(each, reply, jobs[each.id].job)
            cursor = page.cursor
            if cursor is None or len(jobs) - len(told) <= 1:
                break
        return told

    async def _page(self, since: datetime, cursor: str | None) -> tuple[Page | None, Reply | NotSent | NoReply]:
        query = {"created_after": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        reply = await self._api.call(
            "GET",
            "/predictions",
            query={**query, "cursor": cursor} if cursor else query,
            deadline_seconds=_BATCH_SECONDS,
            max_bytes=_LIST_BYTES,
        )
        return (page_in(reply) if isinstance(reply, Reply) and reply.is_ok else None), reply


def _path(handle: Handle) -> str:
    return f"/predictions/{quote(str(handle['id']), safe='')}"


def _mark(callback_url: str) -> str:
    """What is one job's own in an address: its query ends with the day."""
    return callback_url.partition("?")[0]


def _is_told(prediction: Prediction) -> bool:
    """Whether an entry of the list says all that a single answer would, but for the log."""
    if prediction.word == "succeeded":
        return bool(prediction.output)
    return bool(prediction.word)


def _open(settings: Settings, host: Host) -> ReplicateProvider:
    webhook_key = None if settings.webhook_key is None else host.read_secret(settings.webhook_key)
    return ReplicateProvider(settings, host.read_secret(settings.key), webhook_key)


KIND = ProviderKind(settings=Settings, options=Options, open=_open, check_binding=check_binding)
