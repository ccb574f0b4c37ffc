"""Orders, polls, cancels and, where the connection says so, finds at ModelArk.

A picture comes in the answer to its order. A clip is a task: asked about by itself or with others, stopped while it is
queued, and on record for seven days.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from safelight.domain.catalog import Binding, Model
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import (
    Accepted,
    Answer,
    Cancellation,
    CannotTell,
    Failed,
    Finding,
    FindOutcome,
    Found,
    Handle,
    NeverTaken,
    PollOutcome,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Asked, Callback, Host, Job, Provider, ProviderKind
from safelight.domain.request import Order
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import BackendApi, Exchange, NoReply, NotSent, Reply, not_told
from safelight.outbound.loose_json import at, is_count, objects_in, whole_in
from safelight.providers.ark.answers import image_of, state_of, status_of, task_id_of
from safelight.providers.ark.check import look
from safelight.providers.ark.errors import error_in, failure_of_task, refusal_of, with_error
from safelight.providers.ark.orders import OURS, image_order, refused, safety_identifier, video_order
from safelight.providers.ark.settings import Options, Settings, check_binding

IMAGES = "/images/generations"
TASKS = "/contents/generations/tasks"

_TASK_SECONDS = 120.0
"""For an order with pictures in it, of 64 MiB at most."""
_ASKING_SECONDS = 20.0
_CANCEL_SECONDS = 3.0
"""Of each of the three requests that a wish to cancel may take, within the ten seconds that it has."""
_SINGLY_AT_ONCE = 4
_NO_LIST = (400, 404, 405, 501)
_FLEX = "flex"
_CALLBACK_BYTES = 1024 * 1024
_STATUS = re.compile(r"[a-z_]{1,32}", re.IGNORECASE | re.ASCII)

_PAGE_TASKS = 500
_MOST_PAGES = 3
_LATE = timedelta(minutes=3)
"""So much later than its order a task may still come on record: a request lasts two minutes."""
_SKEW = timedelta(minutes=10)
"""By how much the vendor's clock may be off ours."""
_KEPT = timedelta(days=6)
"""Tasks are listed for seven days."""


class ArkProvider:
    """ModelArk. An order whose answer is lost cannot be looked for."""

    poll_batch = 50

    def __init__(self, settings: Settings, key: str) -> None:
        self._settings = settings
        self._api = BackendApi(settings, {"Authorization": f"Bearer {key}"})
        self._absences = Absences()
        self._fetches_images = settings.references == "link"

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        if (failure := refused(order, job)) is not None:
            return failure
        is_image = order.type is GenerationType.IMAGE
        match await self._order(order, job):
            case NotSent() as not_sent:
                return not_sent.failed()
            case NoReply() as no_reply:
                return no_reply.unknown() if is_image else await self._without_answer(job, no_reply.unknown())
            case Reply() as reply if not reply.is_ok:
                refusal = refusal_of(reply, _chosen(order), fetches_images=self._fetches_images)
                is_certain = isinstance(refusal, Failed) and reply.status < 500
                return refusal if is_image or is_certain else await self._without_answer(job, refusal)
            case Reply() as reply if is_image:
                return image_of(
                    reply,
                    self._api.file,
                    _chosen(order),
                    seed=order.spec.seed,
                    fetches_images=self._fetches_images,
                )
            case Reply() as reply:
                return await self._taken(reply, order, job)

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        reply = await self._get(handle)
        if not isinstance(reply, Reply):
            return Unknown(reply.detail)
        if reply.status in (404, 410):
            return self._absences.missed(job.id, _answer(reply), noun="task")
        self._absences.forget(job.id)
        if not reply.is_ok:
            return not_told(reply, _answer(reply), noun="task")
        task = reply.json()
        if not isinstance(task, dict) or task.get("id") not in (None, handle["id"]):
            return Unknown("the answer is not about the task", reply.answer())
        return self._state(task, reply)

    async def poll_many(self, asked: Sequence[Asked]) -> Sequence[PollOutcome]:
        """One request for each service tier, as a list has those of one alone. What it lacks is asked for singly."""
        if len({each.handle["id"] for each in asked}) == 1:
            outcome = await self.poll(asked[0].handle, asked[0].job)
            return [outcome] * len(asked)
        told: dict[str, PollOutcome] = {}
        for tier in sorted({_tier(each.handle) for each in asked}):
            told |= await self._listed(tier, [each.handle["id"] for each in asked if _tier(each.handle) == tier])
        missing = {each.handle["id"]: each for each in asked if each.handle["id"] not in told}
        told |= await self._singly(list(missing.values()))
        for each in asked:
            if each.handle["id"] not in missing:
                self._absences.forget(each.job.id)
        return [told[each.handle["id"]] for each in asked]

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        """A queued task alone can be stopped. DELETE of one that is done deletes it: its status is looked at first."""
        match await self._status(handle):
            case "queued":
                pass
            case "cancelled" | "canceled":
                return Cancellation.FREE
            case None:
                return Cancellation.ASKED
            case _:
                return Cancellation.TOO_LATE
        reply = await self._api.call("DELETE", self._task(handle), deadline_seconds=_CANCEL_SECONDS)
        if isinstance(reply, NotSent):
            return Cancellation.ASKED
        if isinstance(reply, Reply) and not reply.is_ok and reply.status < 500 and reply.status != 429:
            return Cancellation.TOO_LATE
        match await self._status(handle):
            case "cancelled" | "canceled":
                return Cancellation.FREE
            case "" if isinstance(reply, Reply) and reply.is_ok:
                return Cancellation.BILLED  # it was done in between, and its record is deleted
            case _:
                return Cancellation.ASKED

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        return await look(self._api, TASKS, model, binding)

    async def hint(self, callback: Callback) -> bool:
        """Whether it is a task that tells its status. The vendor signs nothing: anybody can write one."""
        if len(callback.body) > _CALLBACK_BYTES:
            return False
        try:
            task = msgspec.json.decode(callback.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False
        return task_id_of(task) is not None and _STATUS.fullmatch(status_of(task)) is not None

    async def close(self) -> None:
        await self._api.close()

    async def _order(self, order: Order, job: Job[Options]) -> Exchange:
        headers = {"X-Client-Request-Id": job.id}
        if order.type is GenerationType.IMAGE:
            return await self._api.call(
                "POST",
                IMAGES,
                json=image_order(order, job, self._settings),
                headers=headers,
                deadline_seconds=self._settings.timeout_seconds,
                media_in=job.make_workdir,
            )
        return await self._api.call(
            "POST",
            TASKS,
            json=video_order(order, job, self._settings),
            headers=headers,
            deadline_seconds=_TASK_SECONDS,
        )

    async def _taken(self, reply: Reply, order: Order, job: Job[Options]) -> SubmitOutcome:
        document = reply.json()
        task_id = task_id_of(document)
        if task_id is not None:
            return Accepted(_handle(task_id, job), reply.answer())
        said = error_in(document)
        if said.reason() is not None:
            return failure_of_task(said, reply.answer(), _chosen(order), fetches_images=self._fetches_images)
        unknown = Unknown("the vendor took the order, and told no id of a task", with_error(reply.answer(), said))
        return await self._without_answer(job, unknown)

    async def _without_answer(self, job: Job[Options], outcome: Failed | Unknown) -> SubmitOutcome:
        return outcome

    async def _get(self, handle: Handle, seconds: float = _ASKING_SECONDS) -> Exchange:
        return await self._api.call("GET", self._task(handle), deadline_seconds=seconds)

    async def _status(self, handle: Handle) -> str | None:
        """The task's status now; empty: there is no such task; None: that is not told."""
        reply = await self._get(handle, _CANCEL_SECONDS)
        if isinstance(reply, Reply) and reply.status in (404, 410):
            return ""
        task = reply.json() if isinstance(reply, Reply) and reply.is_ok else None
        return (status_of(task) or None) if isinstance(task, dict) else None

    async def _listed(self, tier: str, ids: Sequence[str]) -> dict[str, PollOutcome]:
        """What a list says of the tasks; those that it does not have are left out."""
        wanted = list(dict.fromkeys(ids))
        query = [("page_num", "1"), ("page_size", str(len(wanted)))]
        query += [("filter.service_tier", tier)] if tier == _FLEX else []
        query += [("filter.task_ids", each) for each in wanted]
        reply = await self._api.call("GET", f"{TASKS}?{urlencode(query)}", deadline_seconds=_ASKING_SECONDS)
        if isinstance(reply, Reply) and reply.status in _NO_LIST:
            return {}
        if not isinstance(reply, Reply):
            return dict.fromkeys(wanted, Unknown(reply.detail))
        if not reply.is_ok:
            return dict.fromkeys(wanted, not_told(reply, _answer(reply), noun="task"))
        tasks = {task_id_of(task): task for task in objects_in(at(reply.json(), "items"))}
        return {each: self._state(tasks[each], reply) for each in wanted if each in tasks}

    async def _singly(self, asked: Sequence[Asked]) -> dict[str, PollOutcome]:
        places = asyncio.Semaphore(_SINGLY_AT_ONCE)

        async def one(each: Asked) -> PollOutcome:
            async with places:
                return await self.poll(each.handle, each.job)

        outcomes = await asyncio.gather(*map(one, asked))
        return {each.handle["id"]: outcome for each, outcome in zip(asked, outcomes, strict=True)}

    def _state(self, task: Mapping[str, Any], reply: Reply) -> PollOutcome:
        return state_of(
            task,
            reply,
            self._api.file,
            poll_seconds=self._settings.poll_seconds,
            fetches_images=self._fetches_images,
        )

    def _task(self, handle: Handle) -> str:
        return f"{TASKS}/{quote(str(handle['id']), safe='')}"


class FindingArkProvider(ArkProvider):
    """ModelArk, where each task carries an identifier of its own by which it is looked for."""

    async def find(self, job: Job[Options]) -> FindOutcome:
        """Walk the tasks back to the order. That there is none of its identifier counts where it is proven: the list
        goes back far enough, another task of ours in it shows its own, and the order is no news any more."""
        if job.type is GenerationType.IMAGE:
            return CannotTell("an image comes in the answer to its order alone")
        found = await self._found(job)
        if isinstance(found, str):
            return Found(Accepted(_handle(found, job)))
        return found

    async def _without_answer(self, job: Job[Options], outcome: Failed | Unknown) -> SubmitOutcome:
        """It may be on its way still, and on record in a moment: not to be found is no proof."""
        found = await self._found(job)
        return Accepted(_handle(found, job), outcome.answer) if isinstance(found, str) else outcome

    async def _found(self, job: Job[Options]) -> str | NeverTaken | CannotTell:
        """The id of the task with the order's identifier."""
        age = datetime.now(UTC) - job.submitted_at
        since, seen, shows_ours = (job.submitted_at - _SKEW).timestamp(), 0, False
        for page in range(1, _MOST_PAGES + 1):
            query = {"page_num": str(page), "page_size": str(_PAGE_TASKS)}
            if job.options.service_tier == _FLEX:
                query["filter.service_tier"] = _FLEX
            reply = await self._api.call("GET", TASKS, query=query, deadline_seconds=_ASKING_SECONDS)
            if not isinstance(reply, Reply):
                return CannotTell(reply.detail)
            document = reply.json() if reply.is_ok else None
            if not isinstance(document, dict) or not isinstance(document.get("items"), list):
                return CannotTell("the vendor does not list its tasks", reply.answer())
            tasks = objects_in(document["items"])
            for task in tasks:
                if task.get("safety_identifier") == safety_identifier(job) and (found := task_id_of(task)) is not None:
                    return found
            shows_ours |= any(str(task.get("safety_identifier")).startswith(OURS) for task in tasks)
            seen += len(tasks)
            total = whole_in(document.get("total"))
            is_whole = total is not None and seen >= total
            if is_whole or _goes_back_to(since, tasks):
                if shows_ours and _LATE < age < _KEPT:
                    return NeverTaken()
                return CannotTell("no task has the order's identifier, which is no proof that it was never taken")
            if not tasks:
                break
        return CannotTell("the vendor's list of tasks does not go back to the order")


def _goes_back_to(since: float, tasks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a page is in order, newest first, and ends before that time."""
    times = [task.get("created_at") for task in tasks]
    numbers = [time for time in times if is_count(time)]
    is_in_order = len(numbers) == len(times) and numbers == sorted(numbers, reverse=True)
    return bool(numbers) and is_in_order and numbers[-1] < since


def _answer(reply: Reply) -> Answer:
    return with_error(reply.answer(), error_in(reply.json()))


def _handle(task_id: str, job: Job[Options]) -> Handle:
    """``tier``: which list has the task; it is on record, as a binding may be changed meanwhile."""
    return {"id": task_id, "tier": job.options.service_tier or "default"}


def _tier(handle: Handle) -> str:
    return _FLEX if handle.get("tier") == _FLEX else "default"


def _chosen(order: Order) -> frozenset[str]:
    return frozenset(order.spec.provider_options)


def _open(settings: Settings, host: Host) -> Provider:
    provider = FindingArkProvider if settings.find_by_safety_identifier else ArkProvider
    return provider(settings, host.read_secret(settings.key))


KIND = ProviderKind(
    settings=Settings,
    options=Options,
    open=_open,
    ignores=("negative_prompt",),
    check_binding=check_binding,
)
